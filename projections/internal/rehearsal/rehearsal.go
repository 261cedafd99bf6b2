// Package rehearsal is what projections and projectiontest say to each other.
package rehearsal

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// Stage is a definition that can be tried.
type Stage struct {
	Name     string
	Order    string // what the definition says
	Overtake bool   // by its Order, streams may overtake each other
	// Columns are those that a Fold has fields for, each as table.column; nil for statements.
	Columns []string
	// Lost are the fields that have no column.
	Lost []string
	// Copies: the table can be written by COPY.
	Copies bool
	// Play applies a plan to tables that are dropped after read has seen them. Their
	// schema is the first on the search path of read's transaction.
	Play func(ctx context.Context, plan Plan, read func(ctx context.Context, tx pgx.Tx) error) error
}

// Plan is a way in which events come to the tables.
type Plan struct {
	Batches []Batch
	Memory  bool // rows stay in memory from one batch to the next
	Rebuild bool // nobody else uses the tables, which are empty: COPY may write them
	Parts   bool // of a rebuild: rows are folded in several parts, and written at the end
	Reuse   bool // of payloads that are decoded, another has the memory
	Beside  int  // for how many rows Apply is called at once; 0: for one
}

// Batch is what one transaction applies; of a plan in parts, a page that is read.
type Batch struct {
	Events []es.RecordedEvent // in order within each stream, or applied before
	Crash  Crash
}

// Crash is where the program dies. The next one begins with nothing in memory, and gets
// the batch again.
type Crash int

// Where a program may die.
const (
	Never     Crash = iota
	Folded          // the rows are changed in memory, and nothing is sent
	Written         // all is sent, and rolled back
	Committed       // all is committed, and nobody was told
)
