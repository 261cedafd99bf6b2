package es

import (
	"errors"
	"fmt"
)

var (
	// ErrConflict: the stream was not at the expected version. Load again and
	// decide again. The error is a [*ConflictError].
	ErrConflict = errors.New("es: conflict")
	// ErrStreamNotFound: no event was ever appended to the stream.
	ErrStreamNotFound = errors.New("es: stream not found")
	// ErrUnknownType: the codec does not know the event's type. Add the type to
	// the codec; a projection counts and skips it instead.
	ErrUnknownType = errors.New("es: unknown event type")
	// ErrUndecodable: the type is known and the payload does not decode into it.
	ErrUndecodable = errors.New("es: event does not decode")
	// ErrNewerSchema: the payload has a schema version that is later than those that the codec
	// reads: a newer program wrote it. Deploy the one that reads it; nothing is lost
	// meanwhile. The error is a [*SchemaError].
	ErrNewerSchema = errors.New("es: event of a newer schema")
	// ErrUnavailable: what a codec asks, such as a service that has keys, does not answer. It
	// passes: nothing is parked or skipped for it.
	ErrUnavailable = errors.New("es: unavailable")
	// ErrInvalid: a name, a size or a value that no store accepts. The text says
	// which, and what is allowed.
	ErrInvalid = errors.New("es: invalid")
	// ErrDuplicateID: an event id was used before, for another event or another
	// place. Give each event an id of its own.
	ErrDuplicateID = errors.New("es: event id used before")
	// ErrNotSettled: the point asked for is in the future, or past the end.
	ErrNotSettled = errors.New("es: not settled")
	// ErrRetry: the database ended the caller's transaction to resolve a deadlock
	// or a serialization failure. Nothing was written: run the transaction again.
	ErrRetry = errors.New("es: transaction must be retried")
	// ErrRestored: the database is not the one that was read before: it was restored,
	// rolled back, copied, or promoted from a standby. Nothing more is read from it.
	// See what was lost, then say so by the command repair.
	ErrRestored = errors.New("es: the store was restored, copied or promoted")
	// ErrAnotherLife: the store has lost events and begun another life, in which other
	// events have the positions and versions of the lost ones. Take back what was made
	// of them (rebuild the read model, undo the reaction), then accept the new life.
	ErrAnotherLife = errors.New("es: the store has begun another life")
)

// SchemaError names an event of a schema version that the codec does not read. It matches
// [ErrNewerSchema] where the version is later than what the codec reads, and
// [ErrUndecodable] where it is a former one.
type SchemaError struct {
	Event Recorded
	Reads int // the schema version that the codec reads
}

func (e *SchemaError) Error() string {
	if e.Event.Schema > e.Reads {
		return fmt.Sprintf("%v: %s of %s version %d has schema %d, and this program reads %d: deploy a program that reads it before one that writes it",
			ErrNewerSchema, e.Event.Type, e.Event.Stream, e.Event.Version, e.Event.Schema, e.Reads)
	}
	return fmt.Sprintf("%v: %s of %s version %d has schema %d, and this program reads %d: add an upcaster from %d (es.Upcast)",
		ErrUndecodable, e.Event.Type, e.Event.Stream, e.Event.Version, max(e.Event.Schema, 1), e.Reads, max(e.Event.Schema, 1))
}

// Is makes errors.Is tell which of the two it is.
func (e *SchemaError) Is(target error) bool {
	if e.Event.Schema > e.Reads {
		return target == ErrNewerSchema
	}
	return target == ErrUndecodable
}

// ConflictError says which version an append wanted and which it found.
// errors.Is(err, ErrConflict) is true for it.
type ConflictError struct {
	Stream StreamID
	Want   Expected
	Got    Version
}

func (e *ConflictError) Error() string {
	if e.Got == 0 {
		return fmt.Sprintf("es: conflict: %s does not exist, but %s was expected", e.Stream, e.Want)
	}
	return fmt.Sprintf("es: conflict: %s is at version %d, but %s was expected: load it and decide again", e.Stream, e.Got, e.Want)
}

// Is makes errors.Is(err, ErrConflict) true.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }
