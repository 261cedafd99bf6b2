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
	Done   atomic.Int64         // batches committed: see Run
}

// Checkpoint is where a build stands in the log. Books that lie in the log's own database
// are put back with it: then the life of the store is not compared.
func (p *Applier) Checkpoint(b books.Build) es.Checkpoint {
	c := es.Checkpoint{Position: b.Position, EventID: b.Event}
	if !p.Beside() {
		c.Life = b.Life
	}
	return c
}

// InLife returns the build as one of a life of the log: the one that it is filled from
// or, when it is empty, the present one.
func (p *Applier) InLife(ctx context.Context, b books.Build) (books.Build, error) {
	if b.Life != uuid.Nil && !p.Beside() || p.Log == nil {
		return b, nil
	}
	life, err := p.Log.Life(ctx)
	b.Life = life
	return b, err
}

// Live returns the live build, or [fault.ErrNotBuilt].
func (p *Applier) Live(ctx context.Context) (books.Build, error) {
	return p.Books.FindLive(ctx, p.Books.Pool(), p.Def.Name)
}

// Bind returns what applies events to a build's tables. The search path is on them.
func (p *Applier) Bind(ctx context.Context, tx pgx.Tx, b books.Build) (fold.Model, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.bound[b.ID]; a != nil {
		return a, nil
	}
	a, err := p.Def.Bind(ctx, tx, b.Schema)
	if err == nil {
		if p.bound == nil {
			p.bound = map[int64]fold.Model{}
		}
		p.bound[b.ID] = a
	}
	return a, err
}

// Beside reports a read model in the database of its log: both are put back at once, and
// one transaction sees both.
func (p *Applier) Beside() bool { return p.Log != nil && p.Log.Pool() == p.Books.Pool() }
