package inbox

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/pg"
)

// follow is the metadata of what follows from a message, by its own metadata and by
// what names it as the cause. What no store accepts is left out, so that no message
// makes every append of the reaction fail.
func follow(of es.Metadata, cause string) es.Metadata {
	if !plain(cause) {
		cause = pg.DigestOf(cause)
	}
	m := acceptable(es.Metadata{
		CorrelationID: of.CorrelationID,
		CausationID:   cause,
		TraceParent:   of.TraceParent,
		TraceState:    of.TraceState,
	})
	if m.CorrelationID == "" {
		m.CorrelationID = cause
	}
	return m
}

// Following returns a context with the metadata of what follows from a message: what is
// appended with it is correlated with the message, caused by it, and of its trace, as far
// as a store accepts what the message says.
func Following(ctx context.Context, m *message.Message) context.Context {
	return es.WithMetadata(ctx, followAny(m))
}

// followAny is that for a message of anybody.
func followAny(m *message.Message) es.Metadata {
	if e, err := kafka.EventOf(m); err == nil {
		return follow(e.Metadata, e.ID.String())
	}
	of := es.Metadata{
		CorrelationID: m.Metadata["ce_correlationid"],
		TraceParent:   m.Metadata["ce_traceparent"],
		TraceState:    m.Metadata["ce_tracestate"],
	}
	if of.TraceParent == "" {
		of.TraceParent, of.TraceState = m.Metadata["traceparent"], m.Metadata["tracestate"]
	}
	return follow(of, stored(kafka.MessageID(m)))
}
