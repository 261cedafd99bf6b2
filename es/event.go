package es

import (
	"time"

	"github.com/google/uuid"
)

// Event is something that happened. Its type name is stored for ever: renaming
// the Go type does not orphan history, renaming what EventType returns does.
type Event interface{ EventType() string }

// Versioned is an event whose type says which version of its payload's shape it has. One that
// does not has version 1.
type Versioned interface {
	Event
	// EventSchema returns the same number, from 1, for every value.
	EventSchema() int
}

// Strict is an event whose type says whether a payload may have fields that the Go type does
// not have. Those of a type that does not say it may: so an older program reads a newer event.
type Strict interface {
	Event
	// EventStrict returns the same for every value: true to refuse such payloads, as
	// [ErrUndecodable].
	EventStrict() bool
}

// EventData is an event to be appended. [Codec.Encode] makes one.
type EventData struct {
	// ID makes the append idempotent: appending the same events again returns what
	// the first append recorded. Give every event an id of its own; [NewID] makes
	// ids that index well.
	ID uuid.UUID
	// Type is the event's type name, 1 to [MaxType] bytes of A–Z a–z 0–9 . _ : / -.
	Type string
	// Schema is the version of the payload's shape, from 1. Zero is stored as 1.
	Schema int
	// ContentType is the payload's media type, but not one that begins with
	// application/cloudevents. Empty means [JSONContentType].
	ContentType string
	// Data is the payload, at most [MaxData] bytes. A JSON payload must be valid.
	Data []byte
	// Contract is what the payload is written by, where it needs that to be read: a store
	// keeps it.
	Contract *Contract
	// Metadata tells why and by whom; at most [MaxMetadata] bytes as JSON.
	Metadata Metadata
}

// JSONContentType is the content type of events that name none.
const JSONContentType = "application/json"

// Recorded is what the store adds to an event, without the payload.
type Recorded struct {
	ID       uuid.UUID
	Type     string
	Schema   int
	Stream   StreamID
	Version  Version
	Position Position
	// RecordedAt is the database's clock when the event was appended, in UTC with
	// microseconds. It never decreases within a stream.
	RecordedAt time.Time
	Metadata   Metadata
	// Part and Parts are 2 and 3 for the second of the three events that an upcaster has made
	// of what was recorded, and zero for an event that is whole. All parts have the same ID.
	Part, Parts int
}

// PartOf is what was recorded, for the i-th, from 0, of the n events that were decoded of it.
func (r Recorded) PartOf(i, n int) Recorded {
	if n > 1 {
		r.Part, r.Parts = i+1, n
	}
	return r
}

// RecordedEvent is an event as the log keeps it.
type RecordedEvent struct {
	Recorded
	ContentType string
	Data        []byte
}

// Version is an event's place in its stream: 1, 2, 3 … without holes. Zero is
// the version of a stream that does not exist.
type Version int64

// Position is an event's place in its store's log: ascending, with holes.
// Positions of two stores do not compare.
type Position int64

// NewID returns a time-ordered id (UUID version 7, RFC 9562), which keeps the
// index of ids compact.
func NewID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
