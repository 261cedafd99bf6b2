package inbox

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// Limits of what is stored.
const (
	MaxConsumer  = 128  // bytes of a consumer's name
	MaxMessageID = 1024 // bytes of a message id; of a longer one its digest is stored
)

func storable(text string, limit int) bool {
	return text != "" && len(text) <= limit && utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}

// stored is what stands for a text of a message in the tables: the text itself, or
// its digest when the database would refuse it. Whatever a message's headers contain,
// it can be noted, and two texts stay two.
func stored(text string) string { return pg.Key(text, MaxMessageID) }

// recordable reports an event that no store has recorded, as none would accept it:
// something else wrote its message. The payload is the reaction's to judge.
func recordable(e es.RecordedEvent) error {
	return es.ValidateAppend(e.Stream, es.Any, []es.EventData{{
		ID: e.ID, Type: e.Type, Schema: e.Schema, ContentType: e.ContentType, Data: []byte(`{}`), Metadata: e.Metadata,
	}})
}

// acceptable returns the metadata without what a store would refuse. It leaves half of
// the room to what a reaction adds.
func acceptable(m es.Metadata) es.Metadata {
	for _, value := range []*string{&m.CorrelationID, &m.CausationID, &m.TraceParent, &m.TraceState} {
		if !plain(*value) {
			*value = ""
		}
	}
	extra := m.Extra
	m.Extra = nil
	for key, value := range extra {
		if recordable(es.RecordedEvent{Recorded: es.Recorded{ID: es.NewID(), Type: "any", Stream: es.StreamID{Category: "any", ID: "any"}, Metadata: es.Metadata{Extra: map[string]string{key: value}}}}) != nil {
			continue
		}
		if m.Extra == nil {
			m.Extra = map[string]string{}
		}
		m.Extra[key] = value
	}
	if tooLarge(m) {
		m.Extra = nil
	}
	for _, value := range []*string{&m.TraceState, &m.TraceParent, &m.CorrelationID, &m.CausationID} {
		if tooLarge(m) {
			*value = ""
		}
	}
	if m.TraceParent == "" { // its other half says nothing alone
		m.TraceState = ""
	}
	return m
}

func tooLarge(m es.Metadata) bool {
	encoded, err := m.MarshalBinary()
	return err != nil || len(encoded) > es.MaxMetadata/2
}

// plain reports whether a store accepts a value of metadata.
func plain(value string) bool {
	return utf8.ValidString(value) && !strings.ContainsFunc(value, unicode.IsControl)
}
