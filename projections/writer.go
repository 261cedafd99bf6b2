package projections

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// checkpoint is where a build stands in the log. Books that lie in the log's own database
// are put back with it: then the life of the store is not compared.
func (p *Projector) checkpoint(b books.Build) es.Checkpoint {
	c := es.Checkpoint{Position: b.Position, EventID: b.Event}
	if !p.beside() {
		c.Life = b.Life
	}
	return c
}

// inLife returns the build as one of a life of the log: the one that it is filled from
// or, when it is empty, the present one.
func (p *Projector) inLife(ctx context.Context, b books.Build) (books.Build, error) {
	if b.Life != uuid.Nil && !p.beside() || p.store == nil {
		return b, nil
	}
	life, err := p.store.Life(ctx)
	b.Life = life
	return b, err
}

// live returns the live build, or [ErrNotBuilt].
func (p *Projector) live(ctx context.Context) (books.Build, error) {
	if p.invalid != nil {
		return books.Build{}, p.invalid
	}
	return p.books.FindLive(ctx, p.books.Pool(), p.def.Name)
}

// bind returns what applies events to a build's tables. The search path is on them.
func (p *Projector) bind(ctx context.Context, tx pgx.Tx, b books.Build) (fold.Model, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.bound[b.ID]; a != nil {
		return a, nil
	}
	a, err := p.def.Bind(ctx, tx, b.Schema)
	if err == nil {
		p.bound[b.ID] = a
	}
	return a, err
}
