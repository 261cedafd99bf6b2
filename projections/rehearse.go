package projections

import (
	"context"
	"maps"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/rehearsal"
)

// Rehearse is for package projectiontest: it applies batches as a running projector
// would, to tables that only read's transaction sees and that vanish with it.
func (p *Projector) Rehearse(ctx context.Context, batches []rehearsal.Batch, read func(ctx context.Context, tx pgx.Tx) error) error {
	if p.invalid != nil {
		return p.invalid
	}
	return p.vanishing(ctx, func(tx pgx.Tx) error {
		a, t, err := p.scratch(ctx, tx)
		if err != nil {
			return wrap("rehearse "+p.def.name, err)
		}
		t.fresh, t.bulk = false, false
		seen := versions{}
		for _, b := range batches {
			if err := p.rehearse(ctx, tx, a, t, b, seen); err != nil {
				return wrap("rehearse "+p.def.name, err)
			}
		}
		return read(ctx, tx)
	})
}

func (p *Projector) rehearse(ctx context.Context, tx pgx.Tx, a applier, t target, b rehearsal.Batch, seen versions) error {
	if b.Crash {
		inner, err := tx.Begin(ctx) // a savepoint
		if err != nil {
			return err
		}
		if err := p.rehearseOnce(ctx, inner, a, t, b.Events, maps.Clone(seen)); err != nil {
			return err
		}
		if err := inner.Rollback(ctx); err != nil {
			return err
		}
	}
	return p.rehearseOnce(ctx, tx, a, t, b.Events, seen)
}

func (p *Projector) rehearseOnce(ctx context.Context, tx pgx.Tx, a applier, t target, events []es.RecordedEvent, seen versions) error {
	todo, err := p.admitVersions(ctx, tx, events, seen)
	if err != nil || len(todo) == 0 {
		return err
	}
	out := &pgx.Batch{}
	if _, err := a.apply(ctx, tx, t, todo, out); err != nil {
		return err
	}
	return tx.SendBatch(ctx, out).Close()
}
