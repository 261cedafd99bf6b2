package projections

import (
	"context"
	"maps"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/rehearsal"
	"github.com/asof-dev/asof/projections/internal/table"
)

// Rehearse is for package projectiontest: it applies batches as a running projector
// would, to tables that only read's transaction sees and that vanish with it.
func (p *Projector) Rehearse(ctx context.Context, batches []rehearsal.Batch, read func(ctx context.Context, tx pgx.Tx) error) error {
	if p.invalid != nil {
		return p.invalid
	}
	return p.vanishing(ctx, func(tx pgx.Tx) error {
		m, place, err := p.scratch(ctx, tx)
		if err != nil {
			return wrap("rehearse "+p.def.name, err)
		}
		seen := versions{}
		for _, b := range batches {
			if err := p.rehearse(ctx, tx, m, place, b, seen); err != nil {
				return wrap("rehearse "+p.def.name, err)
			}
		}
		return read(ctx, tx)
	})
}

func (p *Projector) rehearse(ctx context.Context, tx pgx.Tx, m model, place table.Place, b rehearsal.Batch, seen versions) error {
	if b.Crash {
		inner, err := tx.Begin(ctx) // a savepoint
		if err != nil {
			return err
		}
		if err := p.rehearseOnce(ctx, inner, m, place, b.Events, maps.Clone(seen)); err != nil {
			return err
		}
		if err := inner.Rollback(ctx); err != nil {
			return err
		}
	}
	return p.rehearseOnce(ctx, tx, m, place, b.Events, seen)
}

func (p *Projector) rehearseOnce(ctx context.Context, tx pgx.Tx, m model, place table.Place, events []es.RecordedEvent, seen versions) error {
	todo, err := p.admitVersions(ctx, tx, events, seen)
	if err != nil || len(todo) == 0 {
		return err
	}
	decoded, err := m.decode(todo)
	if err != nil {
		return err
	}
	state, out := m.open(place, false), &pgx.Batch{}
	if err := state.fold(ctx, sendIn(tx), decoded); err != nil {
		return err
	}
	if err := state.write(ctx, tx.Conn(), out, table.How{}); err != nil {
		return err
	}
	return tx.SendBatch(ctx, out).Close()
}
