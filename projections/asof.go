package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// errDone ends a transaction of which nothing is kept.
var errDone = errors.New("projections: done")

// AsOf gives read the read model as it was at a moment: by position, exactly; by
// time, of all events recorded then or before. It is replayed into tables that only
// read's transaction sees and that vanish with it. Write their names unqualified in
// SQL: the search path is on them.
//
// A moment that is not final yet gives [es.ErrNotSettled], a version
// [es.ErrInvalid]: a read model is of many streams.
func (p *Projector) AsOf(ctx context.Context, at es.AsOf, read func(ctx context.Context, tx pgx.Tx) error) error {
	if p.invalid != nil {
		return p.invalid
	}
	upTo, err := p.settle(ctx, at)
	if err != nil {
		return err
	}
	return p.vanishing(ctx, func(tx pgx.Tx) error {
		if err := p.replay(ctx, tx, at, upTo); err != nil {
			return wrap("read "+p.def.name+" as of "+at.String(), err)
		}
		// What the connection has prepared for other tables of these names may be of
		// types that only those had.
		if err := tx.Conn().DeallocateAll(ctx); err != nil {
			return explain("read "+p.def.name+" as of "+at.String(), err)
		}
		return read(ctx, tx)
	})
}

// vanishing runs f in a transaction of which nothing is kept.
func (p *Projector) vanishing(ctx context.Context, f func(tx pgx.Tx) error) error {
	err := pgx.BeginTxFunc(ctx, p.target.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return errDone
	})
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

// settle makes the moment final, and returns the position after which nothing belongs
// to it.
func (p *Projector) settle(ctx context.Context, at es.AsOf) (es.Position, error) {
	if v, ok := at.Version(); ok {
		return 0, fmt.Errorf("%w: read model %s as of version %d: give a position or a time", es.ErrInvalid, p.def.name, v)
	}
	if position, ok := at.Position(); ok {
		return position, p.store.SettleTo(ctx, position)
	}
	moment, _ := at.Time()
	return p.store.Settle(ctx, moment)
}

// scratch makes the tables in a schema of their own, which ends with the transaction.
func (p *Projector) scratch(ctx context.Context, tx pgx.Tx) (applier, target, error) {
	schema := p.def.name + "_asof_" + uuid.New().String()[:13]
	t := target{schema: schema, tag: "as of " + schema, fresh: true, bulk: true}
	if err := p.makeTables(ctx, tx, schema); err != nil {
		return nil, t, err
	}
	a, err := p.def.bind(ctx, tx, schema)
	return a, t, err
}

// replay applies the log to scratch tables.
func (p *Projector) replay(ctx context.Context, tx pgx.Tx, at es.AsOf, upTo es.Position) error {
	a, t, err := p.scratch(ctx, tx)
	if err != nil {
		return err
	}
	var chunk []es.RecordedEvent
	size := 0
	flush := func() error {
		out := &pgx.Batch{}
		if _, err := a.apply(ctx, tx, t, chunk, out); err != nil {
			return err
		}
		chunk, size, t.fresh = chunk[:0], 0, false
		return tx.SendBatch(ctx, out).Close()
	}
	if at == (es.AsOf{}) || upTo == 0 {
		return nil
	}
	// A plain scan: what may still appear up to there was not recorded by then.
	err = scanLog(ctx, p.scanIn(tx), es.Checkpoint{}, upTo, pageEvents, func(page []es.RecordedEvent) error {
		for i := range page {
			if at.Includes(page[i].Recorded) && p.def.wants(page[i].Stream.Category) {
				chunk = append(chunk, page[i])
				size += len(page[i].Data)
			}
		}
		if len(chunk) < chunkEvents && size < chunkBytes {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// scanIn reads the log through the transaction's own connection where it can: a second
// one of the same pool may be one that such a call waits for too.
func (p *Projector) scanIn(tx pgx.Tx) scan {
	if !p.beside() {
		return p.store.Scan
	}
	log := p.store.InTx(tx)
	return func(ctx context.Context, after es.Checkpoint, upTo es.Position, limit int) ([]es.RecordedEvent, error) {
		return log.Scan(ctx, after.Position, upTo, limit)
	}
}
