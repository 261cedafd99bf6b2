package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
)

// Handle returns a handler for Watermill's router that reacts once to every event
// which a [kafka.Subscriber] delivers. The context carries metadata: what react
// appends through a repository is correlated with the event, caused by it, and of
// its trace.
//
// Messages that are no events, and events that are not of [WithTypes], are
// acknowledged and counted. An error of react, or of the database, is returned, so
// that the message comes again.
func (i *Inbox) Handle(react func(ctx context.Context, e es.RecordedEvent, tx *pgstore.Tx) error) message.NoPublishHandlerFunc {
	return func(m *message.Message) error {
		ctx := m.Context()
		e, err := kafka.EventOf(m)
		if errors.Is(err, kafka.ErrNotAnEvent) || err == nil && !i.wants(e.Type) {
			i.skipped.Add(1)
			i.log.DebugContext(ctx, "message is not for this reaction", "message", m.UUID, "type", e.Type)
			return nil
		}
		if err != nil {
			return fmt.Errorf("inbox: read message %s: %w", m.UUID, err)
		}
		ctx = es.WithMetadata(ctx, follow(e.Recorded))
		_, err = i.Once(ctx, kafka.MessageID(m), func(ctx context.Context, tx *pgstore.Tx) error {
			return react(ctx, e, tx)
		})
		return err
	}
}

func (i *Inbox) wants(eventType string) bool {
	return i.types == nil || slices.Contains(i.types, eventType)
}

// follow is the metadata of what follows from an event.
func follow(e es.Recorded) es.Metadata {
	m := es.Metadata{
		CorrelationID: e.Metadata.CorrelationID,
		CausationID:   e.ID.String(),
		TraceParent:   e.Metadata.TraceParent,
		TraceState:    e.Metadata.TraceState,
	}
	if m.CorrelationID == "" {
		m.CorrelationID = e.ID.String()
	}
	return m
}
