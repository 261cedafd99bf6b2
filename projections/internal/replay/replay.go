package replay

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/catalog"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
	"github.com/asof-dev/asof/projections/internal/table"
)

// AsOf gives read the read model as it was at a moment, up to a position after which nothing
// belongs to it: see Projector.AsOf.
func AsOf(ctx context.Context, a *apply.Applier, at es.AsOf, upTo es.Position, read func(ctx context.Context, tx pgx.Tx) error) error {
	refused, err := asOf(ctx, a, at, upTo, false, read)
	if refused {
		_, err = asOf(ctx, a, at, upTo, true, read)
	}
	return err
}

// asOf replays and reads, and reports that the database has refused what the replay comes
// to. Then it is done again in another transaction, bit by bit: of this one nobody knows
// how far it got, and the driver may have closed its connection.
func asOf(ctx context.Context, a *apply.Applier, at es.AsOf, upTo es.Position, careful bool, read func(ctx context.Context, tx pgx.Tx) error) (refused bool, err error) {
	err = vanishing(ctx, a, func(tx pgx.Tx) error {
		err := undisturbed(ctx, tx, func() error { return replayInto(ctx, a, tx, at, upTo, careful) })
		if err != nil {
			refused = a.Refused(err)
			return fault.Wrap("read "+a.Def.Name+" as of "+at.String(), err)
		}
		// What the connection has prepared for other tables of these names may be of
		// types that only those had.
		if err := tx.Conn().DeallocateAll(ctx); err != nil {
			return fault.Explain("read "+a.Def.Name+" as of "+at.String(), err)
		}
		return read(ctx, tx)
	})
	return refused, err
}

// idleSQL lets the transaction wait for the user's code, and returns how long it might before.
// Bind: none.
const idleSQL = `
with was as materialized (select current_setting('idle_in_transaction_session_timeout') as idle)
select idle, set_config('idle_in_transaction_session_timeout', '0', true) from was`

// Bind: $1 what idleSQL has returned.
const idleAgainSQL = `select set_config('idle_in_transaction_session_timeout', $1, true)`

// undisturbed runs f, in which the transaction waits for Apply. It is nobody's that others
// wait for.
func undisturbed(ctx context.Context, tx pgx.Tx, f func() error) error {
	var was, now string
	if err := tx.QueryRow(ctx, idleSQL).Scan(&was, &now); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, idleAgainSQL, was)
	return err
}

// vanishing runs f in a transaction of which nothing is kept.
func vanishing(ctx context.Context, a *apply.Applier, f func(tx pgx.Tx) error) error {
	err := pgx.BeginTxFunc(ctx, a.Books.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return fault.ErrDone
	})
	if errors.Is(err, fault.ErrDone) {
		return nil
	}
	return err
}

// scratch makes the tables in a schema of their own, which ends with the transaction.
func scratch(ctx context.Context, a *apply.Applier, tx pgx.Tx) (fold.Model, table.Place, error) {
	schema := a.Def.Name + "_asof_" + uuid.New().String()[:13]
	place := table.Place{Schema: schema, Tag: "as of " + schema}
	if err := catalog.MakeTables(ctx, tx, schema, a.Def.Name, a.Def.DDL); err != nil {
		return nil, place, err
	}
	m, err := a.Def.Bind(ctx, tx, schema)
	return m, place, err
}

// replay applies the log to scratch tables.
func replayInto(ctx context.Context, a *apply.Applier, tx pgx.Tx, at es.AsOf, upTo es.Position, careful bool) error {
	m, place, err := scratch(ctx, a, tx)
	if err != nil || at == (es.AsOf{}) || upTo == 0 {
		return err
	}
	r := &replay{applier: a, tx: tx, at: at, upTo: upTo, model: m, place: place, parking: fold.NewParking(a.Def, a.Most)}
	if r.deferring, err = catalog.Defer(ctx, tx, place.Schema); err != nil {
		return err
	}
	if err := r.readSkips(ctx); err != nil {
		return err
	}
	if careful {
		return r.carefully(ctx)
	}
	return r.fold(ctx)
}

// replay folds the log for one transaction.
type replay struct {
	applier   *apply.Applier
	at        es.AsOf
	upTo      es.Position
	model     fold.Model
	place     table.Place
	state     fold.State
	parking   *fold.Parking // nothing of which is kept
	deferring string        // statement that defers what the DDL defers; empty: nothing

	mu sync.Mutex // over tx
	tx pgx.Tx
}

// fold applies all at once.
func (r *replay) fold(ctx context.Context) error {
	r.state = r.model.Open(r.place, true)
	if err := r.pass(ctx, r.use); err != nil {
		return err
	}
	if r.state.Parts() {
		if err := r.state.CopyParts(ctx, r.tx.Conn(), func() error { return r.pass(ctx, r.useAgain) }); err != nil {
			return err
		}
	}
	return r.write(ctx)
}

// pass reads the log, and uses its pages.
func (r *replay) pass(ctx context.Context, use func(context.Context, *fold.Page) error) error {
	read := r.stream
	if r.applier.Beside() {
		read = r.pages
	}
	return fold.Pipeline(ctx, read, func(ctx context.Context, page *pgstore.Page) *fold.Page {
		included := slices.DeleteFunc(page.Events, func(e es.RecordedEvent) bool { return !r.at.Includes(e.Recorded) })
		return r.applier.Def.Page(ctx, r.model, included)
	}, use)
}

// stream reads a log in another database.
func (r *replay) stream(ctx context.Context, give func(*pgstore.Page) error) error {
	return r.applier.Log.Stream(ctx, es.Checkpoint{}, r.upTo, apply.PageEvents, give)
}

// pages reads a log beside the read model through the transaction's own connection, which one of
// reading and looking up rows has at a time: another one of the pool may be one that such a
// call waits for too. What may still appear up to there was not recorded by then.
func (r *replay) pages(ctx context.Context, give func(*pgstore.Page) error) error {
	log := r.applier.Log.InTx(r.tx)
	for after := es.Position(0); after < r.upTo; {
		page, err := r.page(ctx, log, after)
		if err != nil || len(page.Events) == 0 {
			return err
		}
		after = page.Events[len(page.Events)-1].Position
		if err := give(page); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) page(ctx context.Context, log *pgstore.Tx, after es.Position) (*pgstore.Page, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return log.Page(ctx, after, r.upTo, apply.PageEvents)
}

// readSkips reads what the projection leaves out.
func (r *replay) readSkips(ctx context.Context) error {
	batch := &pgx.Batch{}
	r.applier.Books.QueueSkips(batch, r.applier.Def.Name, r.parking)
	return r.send(ctx, batch)
}

// carefully applies page after page, and parks what is refused.
func (r *replay) carefully(ctx context.Context) error {
	return r.pass(ctx, func(ctx context.Context, pg *fold.Page) error {
		err := r.try(ctx, pg.Wanted, nil, true)
		if r.applier.Refused(err) {
			err = r.applier.Bisect(ctx, r.model, pg.Wanted, r.try)
		}
		return err
	})
}

// try applies events in a savepoint: see [apply.Applier.Bisect].
func (r *replay) try(ctx context.Context, events []es.RecordedEvent, refused map[fold.Unit]error, keep bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.tryHow(ctx, events, refused, keep, table.How{})
	if apply.Moved(err) {
		err = r.tryHow(ctx, events, refused, keep, table.How{Moves: true})
	}
	return err
}

func (r *replay) tryHow(ctx context.Context, events []es.RecordedEvent, refused map[fold.Unit]error, keep bool, how table.How) error {
	state, parking, out := r.model.Open(r.place, false), r.parking.Fork(), &pgx.Batch{}
	parking.Refused, parking.Trying = refused, !keep
	err := pgx.BeginFunc(ctx, r.tx, func(tx pgx.Tx) error {
		if err := state.Fold(ctx, apply.SendIn(tx), r.model.Decode(ctx, events), parking); err != nil {
			return err
		}
		if err := state.Write(ctx, tx.Conn(), out, how); err != nil {
			return err
		}
		r.queueCheck(out)
		for _, q := range out.QueuedQueries { // with others, a value that cannot be encoded closes the connection
			if err := tx.SendBatch(ctx, &pgx.Batch{QueuedQueries: []*pgx.QueuedQuery{q}}).Close(); err != nil {
				return err
			}
		}
		if keep {
			return nil
		}
		return fault.ErrDone
	})
	switch {
	case err == nil:
		parking.Refused = nil
		r.parking = parking
	case errors.Is(err, fault.ErrDone):
		err = nil
	}
	return err
}

func (r *replay) send(ctx context.Context, batch *pgx.Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tx.SendBatch(ctx, batch).Close()
}

func (r *replay) use(ctx context.Context, pg *fold.Page) error {
	if err := r.state.Fold(ctx, r.send, pg.Decoded, r.parking); err != nil {
		return err
	}
	if !r.state.Full(r.applier.Room) || r.state.Split() || r.state.Parts() {
		return nil
	}
	return r.write(ctx)
}

// useAgain folds a page into the part whose turn it is.
func (r *replay) useAgain(ctx context.Context, pg *fold.Page) error {
	if err := r.state.Fold(ctx, r.send, pg.Decoded, r.parking); err != nil {
		return err
	}
	if r.state.Full(r.applier.Room) {
		r.state.Split()
	}
	return nil
}

// queueCheck has the database check what a projector's transaction would have checked at its
// end, and go on as after its beginning.
func (r *replay) queueCheck(out *pgx.Batch) {
	out.Queue(apply.ConstraintsSQL)
	if r.deferring != "" {
		out.Queue(r.deferring)
	}
}

// write puts the rows into the tables, and forgets them.
func (r *replay) write(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &pgx.Batch{}
	if err := r.state.Write(ctx, r.tx.Conn(), out, table.How{Alone: true}); err != nil {
		return err
	}
	r.queueCheck(out)
	if err := r.tx.SendBatch(ctx, out).Close(); err != nil {
		return err
	}
	r.state.Forget()
	return nil
}
