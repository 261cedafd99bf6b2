package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	Again    *Gap                // it is the whole stream, from where it has waited
	Gapped   bool                // found: some of the streams have gaps
	Foreign  int64               // messages of Kafka that are not events of the log
	refused  map[fold.Unit]error // what the database does not take
	moves    bool                // a unique value moves between rows
	Bulk     bool
	rehearse bool // nothing is kept
}

// found is what is read under the build's lock.
type found struct {
	seen    Versions
	parking *fold.Parking
	gaps    map[es.StreamID]Gap
	opened  []Gap
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

// Commit applies work to a build in one transaction and returns the build as it is
// then. The row lock on the build makes it one at a time, but for lanes; a build that was
// switched or taken over meanwhile gives [fault.ErrFenced], and nothing is written. What the
// database refuses is parked, in which case the work takes several transactions.
func (a *Applier) Commit(ctx context.Context, b books.Build, w *Work) (books.Build, error) {
	next, err := a.tryMoving(ctx, b, w)
	if a.Refused(err) && len(w.Events) > 0 {
		next, err = a.bisectWork(ctx, b, w)
	}
	if err != nil {
		return next, fault.Wrap("apply a batch", err)
	}
	a.Done.Add(1)
	return next, nil
}

// tryMoving is try, and again if a unique value may have moved between rows.
func (a *Applier) tryMoving(ctx context.Context, b books.Build, w *Work) (books.Build, error) {
	next, err := a.try(ctx, b, w)
	if Moved(err) && !w.moves {
		again := *w
		again.moves = true
		next, err = a.try(ctx, b, &again)
		w.Foreign, w.Gapped = again.Foreign, again.Gapped
	}
	if errors.Is(err, table.ErrStale) && a.lanes(b, w) != nil { // another lane has changed a row
		err = fmt.Errorf("%w: %w", fault.ErrMoved, err)
	}
	return next, err
}

// Moved reports that a unique value may have moved between rows.
func Moved(err error) bool { return pg.Is(err, pg.UniqueViolation) }

func (a *Applier) try(ctx context.Context, b books.Build, w *Work) (books.Build, error) {
	life := b.Life
	once := *w
	var parked []fold.ParkedUnit
	err := pgx.BeginTxFunc(ctx, a.Books.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		locked, found, err := a.lock(ctx, tx, b, &once)
		if err != nil {
			return err
		}
		b = locked
		b.Life = life // that the events were read in
		if err := a.applyLocked(ctx, tx, &b, &once, found); err != nil {
			return err
		}
		if once.apart(w) {
			return ErrApart
		}
		parked = found.parking.Fresh
		if !w.rehearse {
			return nil
		}
		if _, err := tx.Exec(ctx, ConstraintsSQL); err != nil {
			return err
		}
		return fault.ErrDone
	})
	switch {
	case err == nil:
		w.Foreign, w.Gapped = once.Foreign, once.Gapped
		a.TellParked(ctx, parked)
	case errors.Is(err, fault.ErrDone):
		err = nil
	}
	return b, err
}

// ConstraintsSQL has the database check now what it would check at the end.
const ConstraintsSQL = `set constraints all immediate`

// InTx applies work to a build in a transaction of the caller's, and returns what it has
// parked. B is changed as its rows are.
func (a *Applier) InTx(ctx context.Context, tx pgx.Tx, b *books.Build, w *Work) ([]fold.ParkedUnit, error) {
	locked, found, err := a.lock(ctx, tx, *b, w)
	if err != nil {
		return nil, err
	}
	*b = locked
	return found.parking.Fresh, a.applyLocked(ctx, tx, b, w, found)
}

// lock takes the build's row, sets the search path, reads the dedup rows and what is parked,
// and drops from w what is no event of the log, in one round trip. Each statement has a
// snapshot of its own, so the rows are those that the last holder of the lock left.
func (a *Applier) lock(ctx context.Context, tx pgx.Tx, b books.Build, w *Work) (books.Build, found, error) {
	f := found{seen: Versions{}, parking: fold.NewParking(a.Def, a.Most), gaps: map[es.StreamID]Gap{}}
	var locked books.Build
	batch := &pgx.Batch{}
	look := func(now books.Build) error { locked = now; return nil }
	if lanes := a.lanes(b, w); lanes != nil {
		a.queueLanes(batch, b, lanes, look)
	} else {
		a.QueueLock(batch, b, false, look)
	}
	a.queueSeen(batch, b, w, f.seen)
	f.parking.Source = w.Source
	if len(w.Events) > 0 {
		a.Books.QueueParking(batch, b, streamsOf(w.Events), f.parking)
	}
	switch {
	case b.Kind == books.KindTopic && len(w.Events) > 0:
		a.queueGaps(batch, b, w, f.gaps)
		a.queueLife(batch, b, w)
	case b.Kind == books.KindKafka && w.Offset != nil:
		a.queueOurs(batch, w)
	}
	err := tx.SendBatch(ctx, batch).Close()
	f.parking.Stored, f.parking.Refused, f.parking.Trying = locked.Parked, w.refused, w.rehearse
	return locked, f, err
}

// QueueLock takes the build's row and shows it as the last holder of the lock left it. A
// build that is not what the caller thinks gives errFenced, and so does a live one that is
// paused, except to whom that does not matter.
func (a *Applier) QueueLock(batch *pgx.Batch, b books.Build, even bool, look func(now books.Build) error) {
	batch.Queue(a.Books.SQL(lockSQL), b.ID)
	if b.Kind != books.KindLog { // which has one lane, for the whole of it
		batch.Queue(a.Books.SQL(lockLanesSQL), b.ID)
	}
	a.queueLook(batch, b, even, look)
}

// queueLook shows a build that is locked.
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
	batch.Queue(a.Books.SQL(lockPathSQL), b.ID, fmt.Sprintf("%dms", idle.Milliseconds()))
}

// applyLocked does the work inside the transaction that holds the build's lock, and
// changes b as the row is changed.
func (a *Applier) applyLocked(ctx context.Context, tx pgx.Tx, b *books.Build, w *Work, f found) error {
	seen, before := f.seen, maps.Clone(f.seen)
	if w.Position > 0 && w.Position <= b.Position || w.Over != nil && w.Over.After != b.Position {
		return nil // another process did it
	}
	if b.Position < w.After { // the database was put back under us
		return fmt.Errorf("%w: %s version %d, build %d is at position %d and was at %d", fault.ErrFenced, b.Name, b.Version, b.ID, b.Position, w.After)
	}
	w.Gapped = len(f.gaps) > 0
	todo, err := a.admit(ctx, tx, *b, w, &f)
	if err != nil {
		return err
	}
	w.Gapped = w.Gapped || len(f.opened) > 0
	out := &pgx.Batch{}
	t := books.Tally{Read: w.read(b.Position)}
	if len(todo) > 0 {
		if t.Skipped, err = a.foldLocked(ctx, tx, *b, w, todo, f.parking, out); err != nil {
			return err
		}
		t.Parked = int64(len(f.parking.Fresh))
		a.Books.QueueParked(out, *b, w.Source, f.parking.Fresh)
		if err := a.writeSeen(ctx, tx, *b, w, before, seen, out); err != nil {
			return err
		}
		t.Apply(todo)
	}
	if w.Position > b.Position {
		t.Position, t.Event = w.Position, w.eventAt(w.Position)
	}
	t.Foreign = w.Foreign
	if lanes := a.lanes(*b, w); lanes != nil {
		a.Books.QueueLaneTally(out, b, lanes[0], &t)
	} else {
		a.Books.QueueTally(out, b, &t, nil)
	}
	a.queueOffsets(out, *b, w)
	a.queueOpened(out, *b, w, &f)
	return tx.SendBatch(ctx, out).Close()
}

// foldLocked folds events and writes what they come to, with rows that are looked up in
// the transaction.
func (a *Applier) foldLocked(ctx context.Context, tx pgx.Tx, b books.Build, w *Work, todo []es.RecordedEvent, parking *fold.Parking, out *pgx.Batch) (skipped int64, err error) {
	m, err := a.Bind(ctx, tx, b)
	if err != nil {
		return 0, err
	}
	events := m.Decode(todo)
	state := m.Open(b.Place(), b.Empty())
	if err := state.Fold(ctx, SendIn(tx), events, parking); err != nil {
		return 0, err
	}
	return events.Skipped(), state.Write(ctx, tx.Conn(), out, table.How{Alone: b.Mine() && w.Bulk, Moves: w.moves})
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
