package projections

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
	books  books.Books
	def    *fold.Definition
	store  *pgstore.Store // the log; nil when there is none
	log    *slog.Logger
	room   int   // bytes for rows in memory
	parked int64 // units at most that are parked

	turn   sync.Mutex // held by a batch on the live build: others wait without a connection
	memory *memory    // of the live build; of whose turn it is
	mu     sync.Mutex
	bound  map[int64]fold.Model // by build
	done   atomic.Int64         // batches committed: see Run
}

// checkpoint is where a build stands in the log. Books that lie in the log's own database
// are put back with it: then the life of the store is not compared.
func (p *Applier) checkpoint(b books.Build) es.Checkpoint {
	c := es.Checkpoint{Position: b.Position, EventID: b.Event}
	if !p.beside() {
		c.Life = b.Life
	}
	return c
}

// inLife returns the build as one of a life of the log: the one that it is filled from
// or, when it is empty, the present one.
func (p *Applier) inLife(ctx context.Context, b books.Build) (books.Build, error) {
	if b.Life != uuid.Nil && !p.beside() || p.store == nil {
		return b, nil
	}
	life, err := p.store.Life(ctx)
	b.Life = life
	return b, err
}

// live returns the live build, or [fault.ErrNotBuilt].
func (p *Applier) live(ctx context.Context) (books.Build, error) {
	return p.books.FindLive(ctx, p.books.Pool(), p.def.Name)
}

// bind returns what applies events to a build's tables. The search path is on them.
func (p *Applier) bind(ctx context.Context, tx pgx.Tx, b books.Build) (fold.Model, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.bound[b.ID]; a != nil {
		return a, nil
	}
	a, err := p.def.Bind(ctx, tx, b.Schema)
	if err == nil {
		if p.bound == nil {
			p.bound = map[int64]fold.Model{}
		}
		p.bound[b.ID] = a
	}
	return a, err
}

// beside reports a read model in the database of its log: both are put back at once, and
// one transaction sees both.
func (p *Applier) beside() bool { return p.store != nil && p.store.Pool() == p.books.Pool() }
