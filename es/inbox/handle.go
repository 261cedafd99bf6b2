package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
)

// Handle returns a handler for Watermill's router that reacts once to every event
// which a [kafka.Subscriber] delivers. The context carries metadata: what react
// appends through a repository is correlated with the event, caused by it, and of
// its trace, as far as a store accepts what the message says.
//
// An error of react, or of the database, is returned, so that the message comes
// again. So are [ErrBroken] and [es.ErrAnotherLife], which stay until somebody has
// seen to them.
//
// Events of types that [WithTypes] leaves out are acknowledged and counted. So are
// messages of other systems, which are no events of Asof's, CloudEvents or not: the
// first of each kind in a topic is logged as a warning. [Inbox.HandleAny] reacts to
// them too.
func (i *Inbox) Handle(react func(ctx context.Context, e es.RecordedEvent, tx *pgstore.Tx) error) message.NoPublishHandlerFunc {
	return func(m *message.Message) error {
		if i.refused != nil {
			return i.refused
		}
		ctx := m.Context()
		e, err := Read(m)
		if foreign, ok := errors.AsType[*foreignError](err); ok {
			i.foreign.Add(1)
			i.tell(ctx, slog.LevelWarn, m, foreign.kind, "messages of another system are acknowledged without a reaction: Inbox.HandleAny reacts to them", err)
			return nil
		}
		if !i.wants(m.Metadata[headerType]) {
			i.skip(ctx, m)
			return nil
		}
		if err != nil {
			return i.isBroken(ctx, m, err)
		}
		ctx = es.WithMetadata(ctx, follow(e.Metadata, e.ID.String()))
		return i.deliver(ctx, m, func(ctx context.Context, tx *pgstore.Tx) error {
			return react(ctx, e, tx)
		})
	}
}

// HandleAny returns a handler that reacts once to every message, whoever published
// it: CloudEvents of other systems, and what is none. Two deliveries are of one
// message when [kafka.MessageID] is the same. [kafka.EventOf] reads those that are
// Asof's. [WithTypes] goes by the type of a CloudEvent, and leaves out what has none.
// For the rest it is as [Inbox.Handle].
func (i *Inbox) HandleAny(react func(ctx context.Context, m *message.Message, tx *pgstore.Tx) error) message.NoPublishHandlerFunc {
	return func(m *message.Message) error {
		if i.refused != nil {
			return i.refused
		}
		ctx := m.Context()
		if !i.wants(m.Metadata[headerType]) {
			i.skip(ctx, m)
			return nil
		}
		if err := LifeReadable(m); err != nil {
			return i.isBroken(ctx, m, err)
		}
		return i.deliver(Following(ctx, m), m, func(ctx context.Context, tx *pgstore.Tx) error {
			return react(ctx, m, tx)
		})
	}
}

// deliver reacts to a message once, in the life of its store.
func (i *Inbox) deliver(ctx context.Context, m *message.Message, react func(context.Context, *pgstore.Tx) error) error {
	d, err := deliveryOf(m)
	if err != nil {
		return err
	}
	_, err = i.take(ctx, d, react)
	return err
}

func (i *Inbox) skip(ctx context.Context, m *message.Message) {
	i.skipped.Add(1)
	i.log.DebugContext(ctx, "message is not for this reaction", "message", m.UUID, "type", m.Metadata[headerType])
}

// isBroken counts an event that cannot be read, which is not acknowledged.
func (i *Inbox) isBroken(ctx context.Context, m *message.Message, err error) error {
	i.broken.Add(1)
	i.tell(ctx, slog.LevelError, m, "broken", "an event cannot be read and is not acknowledged: set it aside by a middleware", err)
	return fmt.Errorf("inbox: message %.100q: %w", m.UUID, err)
}

// tell logs what happened to a message, once for its kind and topic.
func (i *Inbox) tell(ctx context.Context, level slog.Level, m *message.Message, kind, text string, err error) {
	topic, eventType := m.Metadata[kafka.MetadataTopic], fmt.Sprintf("%.128s", m.Metadata[headerType])
	if !i.told.first(topic, kind+" "+eventType) {
		return
	}
	attrs := []slog.Attr{
		slog.String("kind", kind), slog.String("topic", topic), slog.String("type", eventType),
		slog.String("source", fmt.Sprintf("%.128s", m.Metadata[headerSource])),
		slog.String("partition", m.Metadata[kafka.MetadataPartition]), slog.String("offset", m.Metadata[kafka.MetadataOffset]),
		slog.Any("error", err),
	}
	i.log.LogAttrs(ctx, level, text, attrs...)
}
