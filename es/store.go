package es

import (
	"context"
	"iter"
	"time"
)

// Store keeps streams of events. es/pgstore is the one on Postgres, es/memstore
// the one in memory; es/storetest holds any of them to this contract.
type Store interface {
	// Append records events at the end of a stream, all or none, and returns them
	// as recorded. Retrying an append with the same event ids returns what the
	// first one recorded. Errors: [ErrConflict], [ErrInvalid], [ErrDuplicateID],
	// [ErrRetry], and those of the database.
	Append(ctx context.Context, s StreamID, want Expected, events ...EventData) ([]RecordedEvent, error)

	// ReadStream yields the stream's events from version from on (zero is read as
	// 1), in order of version. A stream without events yields [ErrStreamNotFound];
	// an error ends the sequence.
	ReadStream(ctx context.Context, s StreamID, from Version) iter.Seq2[RecordedEvent, error]

	Settler
}

// Log reads the events of all streams of a store.
type Log interface {
	// Read returns up to limit settled events after a position, in order of
	// position; none when nothing more is settled. An event is settled when no
	// event with a lower position can appear any more, so a reader that goes on
	// from the last position it saw misses none.
	Read(ctx context.Context, after Position, limit int) ([]RecordedEvent, error)

	Settler
}

// Settler makes a moment final.
type Settler interface {
	// Settle waits for the appends that are under way, and returns the settled
	// head: no event can appear any more at or below that position, nor any that
	// was recorded at or before at. A moment that the store's clock has not passed
	// gives [ErrNotSettled]; the zero time asks for the head alone.
	Settle(ctx context.Context, at time.Time) (Position, error)
}
