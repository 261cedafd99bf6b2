package inbox

import (
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

// follow is the metadata of what follows from a message, by its own metadata and by
// what names it as the cause. What no store accepts is left out, so that no message
// makes every append of the reaction fail.
func follow(of es.Metadata, cause string) es.Metadata {
	if !plain(cause) {
		cause = digestOf(cause)
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
