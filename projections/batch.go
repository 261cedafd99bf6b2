package projections

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
	"github.com/asof-dev/asof/projections/internal/table"
)

// work is what one transaction does to a build.
type work struct {
	events   []es.RecordedEvent // in order within each stream
	after    es.Position        // the events were read from here on: the build must not be behind it
	position es.Position        // every event up to here is then applied; zero leaves it
	over     *over              // how position moves without events; nil when it does not
	offset   *offset            // of Kafka, whose messages the events are; nil when they are the log's
	others   []*offset          // of other partitions, whose messages are among them
	begin    []offset           // where partitions are read from
	source   string             // of topics alone: whose events they are
	life     uuid.UUID          // of the source's store; Nil when its messages do not say
	offsets  []int64            // of the events' messages
	again    *gap               // it is the whole stream, from where it has waited
	gapped   bool               // found: some of the streams have gaps
	foreign  int64              // messages of Kafka that are not events of the log
	refused  map[unit]error     // what the database does not take
	moves    bool               // a unique value moves between rows
	bulk     bool
	rehearse bool // nothing is kept
}

// found is what is read under the build's lock.
type found struct {
	seen    versions
	parking *parking
	gaps    map[es.StreamID]gap
	opened  []gap
}

// over says that all events after a position are applied already, how many they are in
// the log, and which is the last.
type over struct {
	after  es.Position
	events int64
	event  uuid.UUID
}

// lockSQL takes the build's turn. Bind: $1 build.
const lockSQL = `select from {asof}.builds where id = $1 for update`

// lockedSQL reads the build as the last holder of the lock left it, if it is still what
// the caller thinks, and a live one is not paused. Bind: $1 build, $2 status, $3 epoch, $4
// kind, $5 whether it does not matter that it is paused.
const lockedSQL = selectBuilds + `where b.id = $1 and b.status = $2 and b.epoch = $3 and b.kind = $4
  and ($5 or b.status <> 'live' or not exists (select from {asof}.paused where name = b.name))`

// lockPathSQL is searchPathSQL for the build that is locked. Bind: $1 build, $2 idle.
const lockPathSQL = `
select set_config('search_path', concat_ws(', ', quote_ident(schema_name), nullif(current_setting('search_path'), '')), true),
       set_config('idle_in_transaction_session_timeout', $2, true), set_config('statement_timeout', '0', true)
from {asof}.builds where id = $1`

// idle is how long a process may stand still in a batch before the database ends its
// session, so that one that hangs does not hold up the others.
const idle = time.Minute

// commit applies work to a build in one transaction and returns the build as it is
// then. The row lock on the build makes it one at a time; a build that was switched
// or taken over meanwhile gives errFenced, and nothing is written. What the database
// refuses is parked, in which case the work takes several transactions.
func (p *Projector) commit(ctx context.Context, b build, w *work) (build, error) {
	next, err := p.tryMoving(ctx, b, w)
	if p.refused(err) && len(w.events) > 0 {
		next, err = p.bisectWork(ctx, b, w)
	}
	if err != nil {
		return next, wrap("apply a batch", err)
	}
	p.done.Add(1)
	return next, nil
}

// tryMoving is try, and again if a unique value may have moved between rows.
func (p *Projector) tryMoving(ctx context.Context, b build, w *work) (build, error) {
	next, err := p.try(ctx, b, w)
	if moved(err) && !w.moves {
		again := *w
		again.moves = true
		next, err = p.try(ctx, b, &again)
		w.foreign, w.gapped = again.foreign, again.gapped
	}
	return next, err
}

// moved reports that a unique value may have moved between rows.
func moved(err error) bool { return pg.Is(err, pg.UniqueViolation) }

func (p *Projector) try(ctx context.Context, b build, w *work) (build, error) {
	life := b.Life
	once := *w
	var parked []parkedUnit
	err := pgx.BeginTxFunc(ctx, p.target.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		locked, found, err := p.lock(ctx, tx, b, &once)
		if err != nil {
			return err
		}
		b = locked
		b.Life = life // that the events were read in
		if err := p.applyLocked(ctx, tx, &b, &once, found); err != nil {
			return err
		}
		if once.apart(w) {
			return errApart
		}
		parked = found.parking.fresh
		if !w.rehearse {
			return nil
		}
		if _, err := tx.Exec(ctx, constraintsSQL); err != nil {
			return err
		}
		return errDone
	})
	switch {
	case err == nil:
		w.foreign, w.gapped = once.foreign, once.gapped
		p.tellParked(ctx, parked)
	case errors.Is(err, errDone):
		err = nil
	}
	return b, err
}

// constraintsSQL has the database check now what it would check at the end.
const constraintsSQL = `set constraints all immediate`

// wrap explains errors that do not speak for themselves yet.
func wrap(what string, err error) error {
	var event *EventError
	if errors.As(err, &event) || errors.Is(err, errFenced) || errors.Is(err, errMoved) || errors.Is(err, errKind) || errors.Is(err, ErrInvalid) {
		return err
	}
	return explain(what, err)
}

// lock takes the build's row, sets the search path, reads the dedup rows and what is parked,
// and drops from w what is no event of the log, in one round trip. Each statement has a
// snapshot of its own, so the rows are those that the last holder of the lock left.
func (p *Projector) lock(ctx context.Context, tx pgx.Tx, b build, w *work) (build, found, error) {
	f := found{seen: versions{}, parking: p.parking(), gaps: map[es.StreamID]gap{}}
	var locked build
	batch := &pgx.Batch{}
	p.queueLock(batch, b, false, func(now build) error { locked = now; return nil })
	p.queueSeen(batch, b, w, f.seen)
	f.parking.source = w.source
	if len(w.events) > 0 {
		p.queueParking(batch, b, streamsOf(w.events), f.parking)
	}
	switch {
	case b.Kind == kindTopic && len(w.events) > 0:
		p.queueGaps(batch, b, w, f.gaps)
		p.queueLife(batch, b, w)
	case b.Kind == kindKafka && w.offset != nil:
		p.queueOurs(batch, w)
	}
	err := tx.SendBatch(ctx, batch).Close()
	f.parking.stored, f.parking.refused, f.parking.trying = locked.Parked, w.refused, w.rehearse
	return locked, f, err
}

// queueLock takes the build's row and shows it as the last holder of the lock left it. A
// build that is not what the caller thinks gives errFenced, and so does a live one that is
// paused, except to whom that does not matter.
func (p *Projector) queueLock(batch *pgx.Batch, b build, even bool, look func(now build) error) {
	batch.Queue(p.q(lockSQL), b.ID)
	batch.Queue(p.q(lockedSQL), b.ID, b.Status, b.Epoch, b.Kind, even).Query(func(rows pgx.Rows) error {
		locked, err := pgx.CollectRows(rows, scanBuild)
		switch {
		case err != nil:
			return err
		case len(locked) == 0:
			return fmt.Errorf("%w: %s version %d, build %d", errFenced, b.Name, b.Version, b.ID)
		}
		return look(locked[0])
	})
	batch.Queue(p.q(lockPathSQL), b.ID, fmt.Sprintf("%dms", idle.Milliseconds()))
}

// applyLocked does the work inside the transaction that holds the build's lock, and
// changes b as the row is changed.
func (p *Projector) applyLocked(ctx context.Context, tx pgx.Tx, b *build, w *work, f found) error {
	seen, before := f.seen, maps.Clone(f.seen)
	if w.position > 0 && w.position <= b.Position || w.over != nil && w.over.after != b.Position {
		return nil // another process did it
	}
	if b.Position < w.after { // the database was put back under us
		return fmt.Errorf("%w: %s version %d, build %d is at position %d and was at %d", errFenced, b.Name, b.Version, b.ID, b.Position, w.after)
	}
	w.gapped = len(f.gaps) > 0
	todo, err := p.admit(ctx, tx, *b, w, &f)
	if err != nil {
		return err
	}
	w.gapped = w.gapped || len(f.opened) > 0
	out := &pgx.Batch{}
	t := tally{read: w.read(b.Position)}
	if len(todo) > 0 {
		if t.skipped, err = p.foldLocked(ctx, tx, *b, w, todo, f.parking, out); err != nil {
			return err
		}
		t.parked = int64(len(f.parking.fresh))
		p.queueParked(out, *b, w.source, f.parking.fresh)
		if err := p.writeSeen(ctx, tx, *b, w, before, seen, out); err != nil {
			return err
		}
		t.apply(todo)
	}
	if w.position > b.Position {
		t.position, t.event = w.position, w.eventAt(w.position)
	}
	p.queueBooks(out, b, &t, nil)
	if w.foreign > 0 {
		out.Queue(p.q(foreignMessagesSQL), b.ID, w.foreign)
	}
	p.queueOffsets(out, *b, w)
	p.queueOpened(out, *b, w, &f)
	return tx.SendBatch(ctx, out).Close()
}

// foldLocked folds events and writes what they come to, with rows that are looked up in
// the transaction.
func (p *Projector) foldLocked(ctx context.Context, tx pgx.Tx, b build, w *work, todo []es.RecordedEvent, parking *parking, out *pgx.Batch) (skipped int64, err error) {
	m, err := p.bind(ctx, tx, b)
	if err != nil {
		return 0, err
	}
	events := m.decode(todo)
	state := m.open(b.place(), b.empty())
	if err := state.fold(ctx, sendIn(tx), events, parking); err != nil {
		return 0, err
	}
	return events.skipped(), state.write(ctx, tx.Conn(), out, table.How{Alone: b.mine() && w.bulk, Moves: w.moves})
}

// sendIn makes round trips in a transaction.
func sendIn(tx pgx.Tx) table.Send {
	return func(ctx context.Context, batch *pgx.Batch) error { return tx.SendBatch(ctx, batch).Close() }
}

// read counts the events of the log that the position moves over.
func (w *work) read(from es.Position) int64 {
	if w.over != nil {
		return w.over.events
	}
	var n int64
	for i := range w.events {
		if at := w.events[i].Position; at > from && at <= w.position {
			n++
		}
	}
	return n
}

// eventAt returns the id of the event at a position, if it is one of the work's.
func (w *work) eventAt(position es.Position) uuid.UUID {
	if w.over != nil {
		return w.over.event
	}
	for i := range slices.Backward(w.events) {
		if w.events[i].Position == position {
			return w.events[i].ID
		}
	}
	return uuid.Nil
}
