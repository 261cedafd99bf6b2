package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
	"github.com/asof-dev/asof/projections/internal/table"
)

// Work is what one transaction does to a build.
type Work struct {
	Events   []es.RecordedEvent  // in order within each stream
	After    es.Position         // the events were read from here on: the build must not be behind it
	Position es.Position         // every event up to here is then applied; zero leaves it
	Over     *Over               // how position moves without events; nil when it does not
	Offset   *Offset             // of Kafka, whose messages the events are; nil when they are the log's
	Others   []*Offset           // of other partitions, whose messages are among them
	Begin    []Offset            // where partitions are read from
	Lanes    []int               // partitions whose lanes there must be
	Source   string              // of topics alone: whose events they are
	Life     uuid.UUID           // of the source's store; Nil when its messages do not say
	Offsets  []int64             // of the events' messages
	Sparse   bool                // versions of a stream have holes: what comes later is applied
	Again    *Gap                // it is the whole stream, from where it has waited
	Gapped   bool                // found: some of the streams have gaps
	Foreign  int64               // messages of Kafka that are not events of the log
	refused  map[fold.Unit]error // what the database does not take
	Bulk     bool
	rehearse bool           // nothing is kept
	parked   *fold.Sequence // whose events are parked, and are tried again
	known    bool           // its events are what they seem
}

// Over says that all events after a position are applied already, how many they are in
// the log, and which is the last.
type Over struct {
	After  es.Position
	Events int64
	Event  uuid.UUID
}

// lockSQL takes the build's turn. Bind: $1 build.
const lockSQL = `select from {asof}.builds where id = $1 for update`

// lockedSQL reads the build as the last holder of the lock left it, if it is still what
// the caller thinks, and a live one is not paused. Bind: $1 build, $2 status, $3 epoch, $4
// kind, $5 whether it does not matter that it is paused.
const lockedSQL = books.SelectBuilds + `where b.id = $1 and b.status = $2 and b.epoch = $3 and b.kind = $4
  and ($5 or b.status <> 'live' or not exists (select from {asof}.paused where name = b.name))`

// lockPathSQL is searchPathSQL for the build that is locked. Bind: $1 build, $2 idle.
const lockPathSQL = `
select set_config('search_path', concat_ws(', ', quote_ident(schema_name), nullif(current_setting('search_path'), '')), true),
       set_config('idle_in_transaction_session_timeout', $2, true), set_config('statement_timeout', '0', true)
from {asof}.builds where id = $1`

// idle is how long a process may stand still in a batch before the database ends its
// session, so that one that hangs does not hold up the others.
const idle = time.Minute

// Commit applies work to a build and returns the build as it is then. What is known is read,
// and the user's code run, with no transaction open; what it comes to is written in a short
// one, all or nothing. The row lock on the build makes those one at a time, but for lanes; a
// build that was switched or taken over meanwhile gives [fault.ErrFenced], and nothing is
// written. Work of which the database refuses something, and what is slow, takes several.
func (a *Applier) Commit(ctx context.Context, b books.Build, w *Work) (books.Build, error) {
	next, err := a.try(ctx, b, w)
	if a.Refused(err) && len(w.Events) > 0 {
		next, err = a.bisectWork(ctx, b, w)
	}
	if err != nil {
		return next, fault.Wrap("apply a batch", err)
	}
	a.Done.Add(1)
	return next, nil
}

// Moved reports that a unique value may have moved between rows.
func Moved(err error) bool { return pg.Is(err, pg.UniqueViolation) }

// try is Commit where the database refuses nothing.
func (a *Applier) try(ctx context.Context, b books.Build, w *Work) (books.Build, error) {
	d, err := a.attempt(ctx, b, w)
	if err != nil {
		return b, err
	}
	w.Foreign, w.Gapped = d.w.Foreign, d.w.Gapped
	if !w.rehearse {
		a.TellParked(ctx, d.parking.Fresh)
	}
	return d.b, nil
}

// waitsOutside is how often others may write to the build while a work is folded, before it
// takes the build's turn first. Else one that takes longer than those of others might never
// get through.
const waitsOutside = 2

// attempt does the work, and again when somebody else has written to the build since it was
// read. It takes the turn before that only where Apply is not long, so that a slow one keeps
// nobody waiting and no transaction open.
func (a *Applier) attempt(ctx context.Context, b books.Build, w *Work) (*draft, error) {
	for try := 0; ; try++ {
		d, err := a.plan(ctx, a.outside(), &pgx.Batch{}, b, w)
		if err != nil {
			return nil, err
		}
		if n := a.pace.most(w.Bulk, try); len(d.todo) > n && w.splits(b) {
			return a.inParts(ctx, b, w, d.todo, n)
		}
		if try < waitsOutside || !a.pace.short(len(d.todo)) {
			if err = a.foldDraft(ctx, a.Send, d); err == nil {
				err = a.writeDraft(ctx, b, d)
			}
		} else {
			d, err = a.inTurn(ctx, b, w)
		}
		switch {
		case err == nil:
			return d, nil
		case (errors.Is(err, errOvertaken) || errors.Is(err, table.ErrStale)) && try+1 < ManyTries:
			a.Logger.DebugContext(ctx, "folds a batch again", "why", err)
		default:
			return nil, a.orFenced(ctx, b, w.parked != nil, err)
		}
	}
}

// orFenced returns an error of the database; or [fault.ErrFenced], where the build is not what
// the caller thinks any more: then its tables may be another build's by now.
func (a *Applier) orFenced(ctx context.Context, b books.Build, even bool, err error) error {
	if pg.Code(err) == "" {
		return err
	}
	batch := &pgx.Batch{}
	a.queueLook(batch, b, even, func(books.Build) error { return nil })
	if fenced := a.Send(ctx, batch); errors.Is(fenced, fault.ErrFenced) {
		return fmt.Errorf("%w: %s", fenced, err.Error())
	}
	return err
}

// inParts applies the events of a work, so many at once, and then what else there is to it.
func (a *Applier) inParts(ctx context.Context, b books.Build, w *Work, events []es.RecordedEvent, most int) (*draft, error) {
	for part := range slices.Chunk(events, most) {
		if _, err := a.try(ctx, b, w.part(part)); err != nil {
			return nil, err
		}
		a.Done.Add(1)
	}
	return a.attempt(ctx, b, w)
}

// inTurn does the work in the build's turn.
func (a *Applier) inTurn(ctx context.Context, b books.Build, w *Work) (*draft, error) {
	d, err := a.tryInTurn(ctx, b, w, false)
	if Moved(err) {
		d, err = a.tryInTurn(ctx, b, w, true)
	}
	return d, err
}

func (a *Applier) tryInTurn(ctx context.Context, b books.Build, w *Work, moves bool) (d *draft, err error) {
	err = pgx.BeginTxFunc(ctx, a.Books.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		out := &pgx.Batch{}
		if d, err = a.planIn(ctx, tx, b, w); err != nil {
			return err
		}
		if err := a.queueDraft(ctx, tx.Conn(), out, d, moves); err != nil {
			return err
		}
		if err := tx.SendBatch(ctx, out).Close(); err != nil || !w.rehearse {
			return err
		}
		return fault.ErrDone
	})
	if errors.Is(err, fault.ErrDone) {
		err = nil
	}
	return d, err
}

// InTx applies work to a build in a transaction of the caller's, and returns what it has
// parked. B is changed as its rows are.
func (a *Applier) InTx(ctx context.Context, tx pgx.Tx, b *books.Build, w *Work) ([]fold.ParkedUnit, error) {
	d, err := a.planIn(ctx, tx, *b, w)
	if err != nil {
		return nil, err
	}
	out := &pgx.Batch{}
	if err := a.queueDraft(ctx, tx.Conn(), out, d, false); err != nil {
		return nil, err
	}
	*b = d.b
	return d.parking.Fresh, tx.SendBatch(ctx, out).Close()
}

// planIn takes the build's turn, and folds the work in it.
func (a *Applier) planIn(ctx context.Context, tx pgx.Tx, b books.Build, w *Work) (*draft, error) {
	batch := &pgx.Batch{}
	a.queueTurn(batch, b, w)
	d, err := a.plan(ctx, a.inside(tx), batch, b, w)
	if err != nil {
		return nil, err
	}
	if len(d.todo) > 0 {
		if _, err := a.Bind(ctx, tx, d.b); err != nil { // the search path is on it
			return nil, err
		}
	}
	return d, a.foldDraft(ctx, SendIn(tx), d)
}

// ConstraintsSQL has the database check now what it would check at the end.
const ConstraintsSQL = `set constraints all immediate`

// QueueLock takes the build's row and shows it as the last holder of the lock left it. A
// build that is not what the caller thinks gives errFenced, and so does a live one that is
// paused, except to whom that does not matter.
func (a *Applier) QueueLock(batch *pgx.Batch, b books.Build, even bool, look func(now books.Build) error) {
	batch.Queue(a.Books.SQL(lockSQL), b.ID)
	if b.Kind != books.KindLog { // which has one lane, for the whole of it
		batch.Queue(a.Books.SQL(lockLanesSQL), b.ID)
	}
	a.queueLook(batch, b, even, look)
	a.queuePath(batch, b)
}

// queueLook shows a build as it is; when it is locked, as the last holder of the lock left it.
func (a *Applier) queueLook(batch *pgx.Batch, b books.Build, even bool, look func(now books.Build) error) {
	batch.Queue(a.Books.SQL(lockedSQL), b.ID, b.Status, b.Epoch, b.Kind, even).Query(func(rows pgx.Rows) error {
		locked, err := pgx.CollectRows(rows, books.ScanBuild)
		switch {
		case err != nil:
			return err
		case len(locked) == 0:
			return fmt.Errorf("%w: %s version %d, build %d", fault.ErrFenced, b.Name, b.Version, b.ID)
		}
		return look(locked[0])
	})
}

func (a *Applier) queuePath(batch *pgx.Batch, b books.Build) {
	batch.Queue(a.Books.SQL(lockPathSQL), b.ID, fmt.Sprintf("%dms", idle.Milliseconds()))
}

// queueTurn takes the turn of what a work touches: of its lanes, or of the whole build.
func (a *Applier) queueTurn(batch *pgx.Batch, b books.Build, w *Work) {
	if lanes := a.lanes(b, w); lanes != nil {
		a.queueLanes(batch, b, lanes)
	} else {
		a.QueueLock(batch, b, w.parked != nil, func(books.Build) error { return nil })
	}
}

// SendIn makes round trips in a transaction.
func SendIn(tx pgx.Tx) table.Send {
	return func(ctx context.Context, batch *pgx.Batch) error { return tx.SendBatch(ctx, batch).Close() }
}

// read counts the events of the log that the position moves over.
func (w *Work) read(from es.Position) int64 {
	if w.Over != nil {
		return w.Over.Events
	}
	var n int64
	for i := range w.Events {
		if at := w.Events[i].Position; at > from && at <= w.Position {
			n++
		}
	}
	return n
}

// eventAt returns the id of the event at a position, if it is one of the work's.
func (w *Work) eventAt(position es.Position) uuid.UUID {
	if w.Over != nil {
		return w.Over.Event
	}
	for i := range slices.Backward(w.Events) {
		if w.Events[i].Position == position {
			return w.Events[i].ID
		}
	}
	return uuid.Nil
}
