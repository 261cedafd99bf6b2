package memstore

import (
	"maps"
	"slices"
	"time"

	"github.com/asof-dev/asof/es"
)

// record makes what the store keeps of an event: nothing of it is shared with the
// caller.
func record(e *es.EventData, stream es.StreamID, version es.Version, position es.Position, at time.Time) es.RecordedEvent {
	contentType := e.ContentType
	if contentType == "" {
		contentType = es.JSONContentType
	}
	return clone(es.RecordedEvent{
		Recorded: es.Recorded{
			ID: e.ID, Type: e.Type, Schema: max(e.Schema, 1), Stream: stream,
			Version: version, Position: position, RecordedAt: at, Metadata: e.Metadata,
		},
		ContentType: contentType, Data: e.Data,
	})
}

func clone(e es.RecordedEvent) es.RecordedEvent {
	e.Data = slices.Clone(e.Data)
	e.Metadata.Extra = maps.Clone(e.Metadata.Extra)
	return e
}
