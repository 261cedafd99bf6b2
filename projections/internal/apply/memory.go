package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/catalog"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
	"github.com/asof-dev/asof/projections/internal/table"
)

// Memory is the rows of a build that one writer keeps between its batches, and what is
// folded into them and not written yet.
//
// It is right while nobody else writes to the build. Whoever does raises the counter of
// the lane, in the same transaction: batches, retries, switches; so the counter is
// compared when the memory is written, and not the position, which some leave as it was.
// What an operator changes by SQL raises no counter; that a row is not what it was, the
// write itself finds out. In both cases all is forgotten, and folded again.
type Memory struct {
	B       books.Build // as its last writer left it
	known   bool        // the counter of b was read before any row was
	Model   fold.Model
	State   fold.State
	Parking *fold.Parking
	Tally   books.Tally // of what is folded
}

// errOvertaken: another process has written to the build.
var errOvertaken = errors.New("projections: another process has written to the build")

// Remember begins to keep rows of a build.
func (a *Applier) Remember(ctx context.Context, b books.Build) (*Memory, error) {
	m, err := a.Model(ctx, b)
	if err != nil {
		return nil, err
	}
	return &Memory{B: b, Model: m, State: m.Open(b.Place(), b.Empty()), Parking: fold.NewParking(a.Def, a.Most)}, nil
}

// Model returns what applies events to a build's tables.
func (a *Applier) Model(ctx context.Context, b books.Build) (m fold.Model, err error) {
	a.mu.Lock()
	m = a.bound[b.ID]
	a.mu.Unlock()
	if m != nil {
		return m, nil
	}
	err = pgx.BeginTxFunc(ctx, a.Books.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, catalog.SearchPathSQL, b.Schema); err != nil {
			return err
		}
		m, err = a.Bind(ctx, tx, b)
		return err
	})
	return m, fault.Wrap("read the tables of "+a.Def.Name, err)
}

// Forget drops the rows and what was folded into them.
func (m *Memory) Forget() {
	m.State.Forget()
	m.Parking.Forget()
	m.Tally = books.Tally{}
	m.known = false
}

// laneSQL reads how a build stands. Bind: $1 build.
const laneSQL = `
select position, event_id, counter, (select sum(parked) from {asof}.lanes where build = $1)::bigint from {asof}.lanes where build = $1 and lane = 0`

// Look reads the counter, before any row and what is parked: then it is no newer than they
// are.
func (a *Applier) Look(ctx context.Context, m *Memory) error {
	batch := &pgx.Batch{}
	batch.Queue(a.Books.SQL(laneSQL), m.B.ID).QueryRow(func(row pgx.Row) error {
		var event *uuid.UUID
		err := row.Scan((*int64)(&m.B.Position), &event, &m.B.Counter, &m.B.Parked)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("%w: build %d is dropped", fault.ErrFenced, m.B.ID)
		}
		m.B.Event = books.OrNil(event)
		return err
	})
	a.Books.QueueParking(batch, m.B, nil, m.Parking)
	err := a.Send(ctx, batch)
	m.Parking.Stored = m.B.Parked
	m.known = err == nil
	return err
}

// Send makes a round trip outside of any transaction: a batch is one of its own, which may
// last.
func (a *Applier) Send(ctx context.Context, batch *pgx.Batch) error {
	long := &pgx.Batch{}
	long.Queue(LongSQL)
	long.QueuedQueries = append(long.QueuedQueries, batch.QueuedQueries...)
	return a.Books.Pool().SendBatch(ctx, long).Close()
}

// Fold applies a page to the rows in memory. Nothing is written.
func (a *Applier) Fold(ctx context.Context, m *Memory, pg *fold.Page) error {
	err := a.pace.measure(len(pg.Wanted), a.Send, func(send table.Send) error { return m.State.Fold(ctx, send, pg.Decoded, m.Parking) })
	if err == nil {
		m.Tally.Move(pg)
	}
	return err
}

// Save writes what is folded, in one transaction with the books, and keeps the rows as far
// as most bytes allow. After an error the memory must forget. errOvertaken and
// [table.ErrStale] mean that it was not right any more.
func (a *Applier) Save(ctx context.Context, m *Memory, most int) error {
	how := table.How{Alone: m.B.Mine()}
	m.Tally.Parked = int64(len(m.Parking.Fresh))
	err := a.trySave(ctx, m, how, most)
	if Moved(err) {
		how.Moves = true
		err = a.trySave(ctx, m, how, most)
	}
	if err == nil {
		a.Done.Add(1)
	}
	return err
}

func (a *Applier) trySave(ctx context.Context, m *Memory, how table.How, most int) error {
	was, b := m.B, m.B
	var xid uint32
	err := a.Transaction(ctx, func(conn *pgx.Conn, batch *pgx.Batch) error {
		a.QueueLock(batch, was, false, func(now books.Build) error { return SameLane(now, was) })
		a.QueueThere(batch, &m.Tally)
		if how.Alone || m.State.ByPath() {
			if err := SendOn(ctx, conn, batch); err != nil {
				return err
			}
		}
		a.Books.QueueParked(batch, b, "", m.Parking.Fresh)
		a.Books.QueueTally(batch, &b, &m.Tally, &xid)
		return m.State.Write(ctx, conn, batch, how)
	})
	if err != nil {
		return err
	}
	a.Written(ctx, m, b)
	m.State.Written(xid, most)
	return nil
}

// Written says that what is folded is committed, and how the build is then.
func (a *Applier) Written(ctx context.Context, m *Memory, b books.Build) {
	a.TellParked(ctx, m.Parking.Fresh)
	m.B, m.Tally = b, books.Tally{}
	m.Parking.Written()
}

// LongSQL lets a transaction last.
const LongSQL = `select set_config('idle_in_transaction_session_timeout', '0', true), set_config('statement_timeout', '0', true)`

// Transaction sends what f has queued in a transaction, and commits it: two round trips.
func (a *Applier) Transaction(ctx context.Context, f func(conn *pgx.Conn, batch *pgx.Batch) error) error {
	return a.Books.Pool().AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		conn, batch := c.Conn(), &pgx.Batch{}
		batch.Queue(`begin isolation level read committed`)
		err := f(conn, batch)
		if err == nil {
			err = SendOn(ctx, conn, batch)
		}
		if err == nil {
			_, err = conn.Exec(ctx, `commit`)
			return err
		}
		ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = conn.Exec(ended, `rollback`) // the pool closes a connection that is still in a transaction
		return err
	})
}

// SendOn sends a batch, and empties it.
func SendOn(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch) error {
	err := conn.SendBatch(ctx, batch).Close()
	*batch = pgx.Batch{}
	return err
}

// SameLane refuses a build that somebody else has written to.
func SameLane(now, b books.Build) error {
	switch {
	case now.Counter == b.Counter && now.Position == b.Position && now.Event == b.Event:
		return nil
	case now.Position < b.Position: // the database was put back under us
		return fmt.Errorf("%w: %s version %d, build %d is at position %d and was at %d", fault.ErrFenced, b.Name, b.Version, b.ID, now.Position, b.Position)
	default:
		return fmt.Errorf("%w: %s version %d, build %d", errOvertaken, b.Name, b.Version, b.ID)
	}
}

// thereSQL asks for an event. Bind: $1 position, $2 id.
const thereSQL = `select exists (select from {asof}.events where position = $1 and event_id = $2)`

// QueueThere refuses events that were read before the database was put back.
func (a *Applier) QueueThere(batch *pgx.Batch, t *books.Tally) {
	if !a.Beside() || t.Position == 0 {
		return
	}
	position := t.Position
	batch.Queue(a.logSQL(thereSQL), int64(position), t.Event).QueryRow(func(row pgx.Row) error {
		var there bool
		err := row.Scan(&there)
		if err == nil && !there {
			err = fmt.Errorf("%w: the event at position %d was read and is not in the log", fault.ErrFenced, position)
		}
		return err
	})
}

// Careful applies a page of the log as commit does, with rows that are looked up under the
// lock, and so finds the events whose values the database refuses.
func (a *Applier) Careful(ctx context.Context, b books.Build, events []es.RecordedEvent, bulk bool) (books.Build, error) {
	return a.Commit(ctx, b, &Work{Events: events, After: b.Position, Position: events[len(events)-1].Position, Bulk: bulk})
}
