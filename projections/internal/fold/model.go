// Package fold has what events do to the rows of a read model: the definition, its model
// for the tables of one build, and the judgement what is applied, left out or parked. It
// knows nothing of the books, and of the database only the tables that it is given.
package fold

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/table"
)

// A batch of events goes through a model in three steps, so that the user's code runs
// outside of transactions and locks: decode, which needs nothing but the events; fold,
// which looks up rows and changes them in memory; write, in the transaction of the books.

// Model is a definition bound to the tables of one build.
type Model interface {
	// Decode reads events that are wanted, in order. It is safe for concurrent use. What
	// cannot be read is among them, with why.
	Decode(ctx context.Context, events []es.RecordedEvent) Decoded
	// Open returns the state of tables that are empty or not.
	Open(place table.Place, empty bool) State
}

// Decoded is events as their model has read them.
type Decoded interface {
	Skipped() int64 // of types that the codec does not know
	// Keys are the rows that the events touch, each once; of events that touch none, or
	// that cannot be read, and where rows have no key, an empty one.
	Keys() []string
	// Recycle gives memory back; it must not be used any more.
	Recycle()
}

// State is what a writer knows of a build's tables, and what it has yet to write. After
// an error it must forget. It is not safe for concurrent use.
type State interface {
	// Fold changes the rows by events that are new and in order, and leaves to parking what
	// cannot be applied. What must be looked up is looked up in one round trip.
	Fold(ctx context.Context, send table.Send, events Decoded, parking *Parking) error
	// Write queues what has changed into out, or writes at once, in the connection's
	// transaction.
	Write(ctx context.Context, conn *pgx.Conn, out *pgx.Batch, how table.How) error
	// Written says that what was written last was committed, by which transaction, and
	// how many bytes may stay in memory.
	Written(xid uint32, most int)
	Forget()
	// ByPath reports statements that name tables by the search path, which must be set
	// before they are sent.
	ByPath() bool
	// Full reports that it takes so many bytes, or that it is time to write.
	Full(room int) bool
	// Split leaves a part of the rows for later, if that can be done, and reports whether
	// it did; parts reports that some are left.
	Split() bool
	Parts() bool
	// CopyParts writes all, in the connection's transaction, calling again for each part
	// that is left: it folds all events again.
	CopyParts(ctx context.Context, conn *pgx.Conn, again func() error) error
}
