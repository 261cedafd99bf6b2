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
	// first one recorded, its metadata too; ids that were used for another type,
	// schema, content type or payload give [ErrDuplicateID]. Other errors:
	// [ErrConflict], [ErrInvalid], [ErrRetry], and those of the database.
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
	// Settle makes the moment at final, and returns how far the log must be read for
	// it: no event recorded at or before at ever lies above the position that it
	// returns, and those at or below it are visible. It waits for the appends that are
	// under way, unless the moment was made final before. A moment that the store's
	// clock has not passed gives [ErrNotSettled].
	//
	// The zero time asks for the settled head instead: no event can appear any more at
	// or below it.
	Settle(ctx context.Context, at time.Time) (Position, error)

	// SettleTo waits until a position is settled: no event can appear any more at or
	// below it. One that was settled before waits for nobody; one past the end of the
	// log gives [ErrNotSettled].
	SettleTo(ctx context.Context, p Position) error
}
