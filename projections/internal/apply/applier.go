package apply

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// Applier applies events to the builds of one projection. It is safe for concurrent use.
type Applier struct {
	Books  books.Books
	Def    *fold.Definition
	Log    *pgstore.Store // the log; nil when there is none
	Logger *slog.Logger
	Room   int   // bytes for rows in memory
	Most   int64 // units at most that are parked

	turn   sync.Mutex // held by a batch on the live build: others wait without a connection
	memory *Memory    // of the live build; of whose turn it is
	mu     sync.Mutex
	bound  map[int64]fold.Model // by build
	pace   pace
	Done   atomic.Int64 // batches committed: see Run
}

// Checkpoint is where a build stands in the log. Books that lie in the log's own database
// are put back with it: then the life of the store is not compared.
func (a *Applier) Checkpoint(b books.Build) es.Checkpoint {
	c := es.Checkpoint{Position: b.Position, EventID: b.Event}
	if !a.Beside() {
		c.Life = b.Life
	}
	return c
}

// InLife returns the build as one of a life of the log: the one that it is filled from
// or, when it is empty, the present one.
func (a *Applier) InLife(ctx context.Context, b books.Build) (books.Build, error) {
	if b.Life != uuid.Nil && !a.Beside() || a.Log == nil {
		return b, nil
	}
	life, err := a.Log.Life(ctx)
	b.Life = life
	return b, err
}

// Live returns the live build, or [fault.ErrNotBuilt].
func (a *Applier) Live(ctx context.Context) (books.Build, error) {
	return a.Books.FindLive(ctx, a.Books.Pool(), a.Def.Name)
}

// Bind returns what applies events to a build's tables. The search path is on them.
func (a *Applier) Bind(ctx context.Context, tx pgx.Tx, b books.Build) (fold.Model, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m := a.bound[b.ID]; m != nil {
		return m, nil
	}
	m, err := a.Def.Bind(ctx, tx, b.Schema)
	if err == nil {
		if a.bound == nil {
			a.bound = map[int64]fold.Model{}
		}
		a.bound[b.ID] = m
	}
	return m, err
}

// logSQL puts the schema of the log in the place of {asof}.
func (a *Applier) logSQL(text string) string { return books.Of(a.Log).SQL(text) }

// Beside reports a read model in the database of its log: both are put back at once, and
// one transaction sees both.
func (a *Applier) Beside() bool { return a.Log != nil && a.Log.Pool() == a.Books.Pool() }
