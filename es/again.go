package es

import "bytes"

// Differs says in which of type, schema, content type and payload an event is not the
// one that was recorded; "" when it is. Metadata may differ: it says who asked, and
// asking again is asking another time.
func (e *EventData) Differs(r *RecordedEvent) string {
	contentType := e.ContentType
	if contentType == "" {
		contentType = JSONContentType
	}
	switch {
	case e.Type != r.Type:
		return "type"
	case max(e.Schema, 1) != r.Schema:
		return "schema"
	case contentType != r.ContentType:
		return "content type"
	case !bytes.Equal(e.Data, r.Data):
		return "payload"
	}
	return ""
}
