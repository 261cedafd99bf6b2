package es

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Metadata says why an event happened. It travels in the context, is stored with
// the event and published in the headers of its Kafka message.
type Metadata struct {
	// CorrelationID is shared by all that follows from one request.
	CorrelationID string `json:"correlation,omitempty"`
	// CausationID names the message or event that caused this one.
	CausationID string `json:"causation,omitempty"`
	// TraceParent and TraceState are the W3C trace context
	// (https://www.w3.org/TR/trace-context/).
	TraceParent string `json:"traceparent,omitempty"`
	TraceState  string `json:"tracestate,omitempty"`
	// Extra is for the service's own use. A key is a CloudEvents extension name, 1
	// to 20 of a–z 0–9, and none of those that Asof publishes itself.
	Extra map[string]string `json:"extra,omitempty"`
}

// IsZero reports whether nothing is set.
func (m Metadata) IsZero() bool {
	return m.CorrelationID == "" && m.CausationID == "" && m.TraceParent == "" && m.TraceState == "" && len(m.Extra) == 0
}

type metadataKey struct{}

// WithMetadata returns a context in which appended events get m; what m leaves
// empty is taken from the metadata that ctx carries already.
func WithMetadata(ctx context.Context, m Metadata) context.Context {
	return context.WithValue(ctx, metadataKey{}, m.Or(MetadataFrom(ctx)))
}

// MetadataFrom returns the metadata that ctx carries; the zero value when none.
func MetadataFrom(ctx context.Context) Metadata {
	m, _ := ctx.Value(metadataKey{}).(Metadata)
	return m
}

// Or returns m with its empty fields taken from other. Extra is merged, and m's
// values win.
func (m Metadata) Or(other Metadata) Metadata {
	m.CorrelationID = cmpOr(m.CorrelationID, other.CorrelationID)
	m.CausationID = cmpOr(m.CausationID, other.CausationID)
	if m.TraceParent == "" { // the two halves of a trace context belong together
		m.TraceParent, m.TraceState = other.TraceParent, other.TraceState
	}
	if len(other.Extra) > 0 {
		merged := maps.Clone(other.Extra)
		maps.Copy(merged, m.Extra)
		m.Extra = merged
	}
	return m
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// MarshalBinary returns the JSON that a store keeps: empty when nothing is set.
func (m Metadata) MarshalBinary() ([]byte, error) {
	if m.IsZero() {
		return []byte{}, nil
	}
	return json.Marshal(m)
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (m *Metadata) UnmarshalBinary(data []byte) error {
	*m = Metadata{}
	if len(data) == 0 {
		return nil
	}
	if plain, ok := plainMetadata(string(data)); ok {
		*m = plain
		return nil
	}
	return json.Unmarshal(data, m)
}

// reserved are the names that Asof and CloudEvents give to attributes of a
// published event.
const reserved = " id source type subject time specversion datacontenttype dataschema data " +
	"category version position schema life part of dense correlationid causationid traceparent tracestate "

func (m Metadata) validate() (int, error) {
	if m.IsZero() {
		return 0, nil
	}
	for key := range m.Extra {
		if len(key) < 1 || len(key) > 20 || strings.ContainsFunc(key, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
			return 0, fmt.Errorf("%w: metadata key %.40q: use 1 to 20 of a-z 0-9", ErrInvalid, key)
		}
		if strings.Contains(reserved, " "+key+" ") {
			return 0, fmt.Errorf("%w: metadata key %q is published by Asof itself: choose another", ErrInvalid, key)
		}
	}
	for _, value := range append([]string{m.CorrelationID, m.CausationID, m.TraceParent, m.TraceState}, values(m.Extra)...) {
		if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
			return 0, fmt.Errorf("%w: metadata value %.40q must be UTF-8 without control characters", ErrInvalid, value)
		}
	}
	encoded, err := m.MarshalBinary()
	if err != nil {
		return 0, fmt.Errorf("%w: metadata: %w", ErrInvalid, err)
	}
	if len(encoded) > MaxMetadata {
		return 0, fmt.Errorf("%w: metadata has %d bytes: at most %d are allowed", ErrInvalid, len(encoded), MaxMetadata)
	}
	return len(encoded), nil
}

func values(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for _, v := range m {
		out = append(out, v)
	}
	return out
}
