package es

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// AsOf is a moment in the past: of one stream (a version), or of the whole store
// (a position, or a time). The zero value is before the first event.
type AsOf struct {
	kind     asOfKind
	version  Version
	position Position
	time     time.Time
}

type asOfKind uint8

const (
	beforeAll asOfKind = iota
	atVersion
	atPosition
	atTime
)

// AtVersion is the moment when the stream had just reached version v.
func AtVersion(v Version) AsOf { return AsOf{kind: atVersion, version: v} }

// AtPosition is the moment when the log had just reached position p. It is exact.
func AtPosition(p Position) AsOf { return AsOf{kind: atPosition, position: p} }

// AtTime is the moment t: events recorded at t or before count. Times are the
// database's, in microseconds.
func AtTime(t time.Time) AsOf { return AsOf{kind: atTime, time: t.Truncate(time.Microsecond)} }

// Includes reports whether an event had happened by then.
func (a AsOf) Includes(r Recorded) bool {
	switch a.kind {
	case atVersion:
		return r.Version <= a.version
	case atPosition:
		return r.Position <= a.position
	case atTime:
		return !r.RecordedAt.After(a.time)
	default:
		return false
	}
}

// Version returns what AtVersion was given, and whether it was AtVersion.
func (a AsOf) Version() (Version, bool) { return a.version, a.kind == atVersion }

// Position returns what AtPosition was given, and whether it was AtPosition.
func (a AsOf) Position() (Position, bool) { return a.position, a.kind == atPosition }

// Time returns what AtTime was given, and whether it was AtTime.
func (a AsOf) Time() (time.Time, bool) { return a.time, a.kind == atTime }

// String returns the moment in words.
func (a AsOf) String() string {
	switch a.kind {
	case atVersion:
		return fmt.Sprintf("version %d", a.version)
	case atPosition:
		return fmt.Sprintf("position %d", a.position)
	case atTime:
		return a.time.UTC().Format(time.RFC3339Nano)
	default:
		return "before the first event"
	}
}

// Checkpoint is how far a reader of a log has got. Kept whole with what was made of
// the events, it lets the store tell that the reader and the log no longer fit. The
// zero value is the beginning of any log.
type Checkpoint struct {
	// Life is the store's when the event was read: see [ErrAnotherLife].
	Life uuid.UUID
	// Position is that of the last event that was read; zero before the first.
	Position Position
	// EventID is the id of the event there.
	EventID uuid.UUID
}
