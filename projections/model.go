package projections

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/table"
)

// A batch of events goes through a model in three steps, so that the user's code runs
// outside of transactions and locks: decode, which needs nothing but the events; fold,
// which looks up rows and changes them in memory; write, in the transaction of the books.

// model is a definition bound to the tables of one build.
type model interface {
	// decode reads events that are wanted, in order. It is safe for concurrent use. What
	// cannot be read is among them, with why.
	decode(events []es.RecordedEvent) decoded
	// open returns the state of tables that are empty or not.
	open(place table.Place, empty bool) state
}

// decoded is events as their model has read them.
type decoded interface {
	skipped() int64 // of types that the codec does not know
	// keys are the rows that the events touch, each once; of events that touch none, or
	// that cannot be read, and where rows have no key, an empty one.
	keys() []string
}

// state is what a writer knows of a build's tables, and what it has yet to write. After
// an error it must forget. It is not safe for concurrent use.
type state interface {
	// fold changes the rows by events that are new and in order, and leaves to parking what
	// cannot be applied. What must be looked up is looked up in one round trip.
	fold(ctx context.Context, send table.Send, events decoded, parking *parking) error
	// write queues what has changed into out, or writes at once, in the connection's
	// transaction.
	write(ctx context.Context, conn *pgx.Conn, out *pgx.Batch, how table.How) error
	// written says that what was written last was committed, by which transaction, and
	// how many bytes may stay in memory.
	written(xid uint32, most int)
	forget()
	// byPath reports statements that name tables by the search path, which must be set
	// before they are sent.
	byPath() bool
	// full reports that it takes so many bytes, or that it is time to write.
	full(room int) bool
	// split leaves a part of the rows for later, if that can be done, and reports whether
	// it did; parts reports that some are left.
	split() bool
	parts() bool
	// copyParts writes all, in the connection's transaction, calling again for each part
	// that is left: it folds all events again.
	copyParts(ctx context.Context, conn *pgx.Conn, again func() error) error
}
