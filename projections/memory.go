package projections

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

// memory is the rows of a build that one writer keeps between its batches, and what is
// folded into them and not written yet.
//
// It is right while nobody else writes to the build. Whoever does raises the counter of
// the lane, in the same transaction: batches, retries, switches; so the counter is
// compared when the memory is written, and not the position, which some leave as it was.
// What an operator changes by SQL raises no counter; that a row is not what it was, the
// write itself finds out. In both cases all is forgotten, and folded again.
type memory struct {
	b       books.Build // as its last writer left it
	known   bool        // the counter of b was read before any row was
	model   fold.Model
	state   fold.State
	parking *fold.Parking
	tally   books.Tally // of what is folded
}

// errOvertaken: another process has written to the build.
var errOvertaken = errors.New("projections: another process has written to the build")

// remember begins to keep rows of a build.
func (p *Applier) remember(ctx context.Context, b books.Build) (*memory, error) {
	m, err := p.model(ctx, b)
	if err != nil {
		return nil, err
	}
	return &memory{b: b, model: m, state: m.Open(b.Place(), b.Empty()), parking: fold.NewParking(p.def, p.parked)}, nil
}

// model returns what applies events to a build's tables.
func (p *Applier) model(ctx context.Context, b books.Build) (m fold.Model, err error) {
	p.mu.Lock()
	m = p.bound[b.ID]
	p.mu.Unlock()
	if m != nil {
		return m, nil
	}
	err = pgx.BeginTxFunc(ctx, p.books.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, catalog.SearchPathSQL, b.Schema); err != nil {
			return err
		}
		m, err = p.bind(ctx, tx, b)
		return err
	})
	return m, fault.Wrap("read the tables of "+p.def.Name, err)
}

// forget drops the rows and what was folded into them.
func (m *memory) forget() {
	m.state.Forget()
	m.parking.Forget()
	m.tally = books.Tally{}
	m.known = false
}

// laneSQL reads how a build stands. Bind: $1 build.
const laneSQL = `select position, event_id, counter, parked from {asof}.lanes where build = $1 and lane = 0`

// look reads the counter, before any row and what is parked: then it is no newer than they
// are.
func (p *Applier) look(ctx context.Context, m *memory) error {
	batch := &pgx.Batch{}
	batch.Queue(p.books.SQL(laneSQL), m.b.ID).QueryRow(func(row pgx.Row) error {
		var event *uuid.UUID
		err := row.Scan((*int64)(&m.b.Position), &event, &m.b.Counter, &m.b.Parked)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("%w: build %d is dropped", fault.ErrFenced, m.b.ID)
		}
		m.b.Event = books.OrNil(event)
		return err
	})
	p.books.QueueParking(batch, m.b, nil, m.parking)
	err := p.send(ctx, batch)
	m.parking.Stored = m.b.Parked
	m.known = err == nil
	return err
}

// send makes a round trip outside of any transaction: a batch is one of its own.
func (p *Applier) send(ctx context.Context, batch *pgx.Batch) error {
	return p.books.Pool().SendBatch(ctx, batch).Close()
}

// fold applies a page to the rows in memory. Nothing is written.
func (p *Applier) fold(ctx context.Context, m *memory, pg *fold.Page) error {
	err := m.state.Fold(ctx, p.send, pg.Decoded, m.parking)
	if err == nil {
		m.tally.Move(pg)
	}
	return err
}

// save writes what is folded, in one transaction with the books, and keeps the rows as far
// as most bytes allow. After an error the memory must forget. errOvertaken and
// [table.ErrStale] mean that it was not right any more.
func (p *Applier) save(ctx context.Context, m *memory, most int) error {
	how := table.How{Alone: m.b.Mine()}
	m.tally.Parked = int64(len(m.parking.Fresh))
	err := p.trySave(ctx, m, how, most)
	if moved(err) {
		how.Moves = true
		err = p.trySave(ctx, m, how, most)
	}
	if err == nil {
		p.done.Add(1)
	}
	return err
}

func (p *Applier) trySave(ctx context.Context, m *memory, how table.How, most int) error {
	was, b := m.b, m.b
	var xid uint32
	err := p.transaction(ctx, func(conn *pgx.Conn, batch *pgx.Batch) error {
		p.queueLock(batch, was, false, func(now books.Build) error { return sameLane(now, was) })
		p.queueThere(batch, &m.tally)
		if how.Alone || m.state.ByPath() {
			if err := sendOn(ctx, conn, batch); err != nil {
				return err
			}
		}
		p.books.QueueParked(batch, b, "", m.parking.Fresh)
		p.books.QueueTally(batch, &b, &m.tally, &xid)
		return m.state.Write(ctx, conn, batch, how)
	})
	if err != nil {
		return err
	}
	p.written(ctx, m, b)
	m.state.Written(xid, most)
	return nil
}

// written says that what is folded is committed, and how the build is then.
func (p *Applier) written(ctx context.Context, m *memory, b books.Build) {
	p.tellParked(ctx, m.parking.Fresh)
	m.b, m.tally = b, books.Tally{}
	m.parking.Written()
}

// transaction sends what f has queued in a transaction, and commits it: two round trips.
func (p *Applier) transaction(ctx context.Context, f func(conn *pgx.Conn, batch *pgx.Batch) error) error {
	return p.books.Pool().AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		conn, batch := c.Conn(), &pgx.Batch{}
		batch.Queue(`begin isolation level read committed`)
		err := f(conn, batch)
		if err == nil {
			err = sendOn(ctx, conn, batch)
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

// sendOn sends a batch, and empties it.
func sendOn(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch) error {
	err := conn.SendBatch(ctx, batch).Close()
	*batch = pgx.Batch{}
	return err
}

// sameLane refuses a build that somebody else has written to.
func sameLane(now, b books.Build) error {
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

// queueThere refuses events that were read before the database was put back.
func (p *Applier) queueThere(batch *pgx.Batch, t *books.Tally) {
	if !p.beside() || t.Position == 0 {
		return
	}
	position := t.Position
	batch.Queue(p.books.SQL(thereSQL), int64(position), t.Event).QueryRow(func(row pgx.Row) error {
		var there bool
		err := row.Scan(&there)
		if err == nil && !there {
			err = fmt.Errorf("%w: the event at position %d was read and is not in the log", fault.ErrFenced, position)
		}
		return err
	})
}

// careful applies a page of the log as commit does, with rows that are looked up under the
// lock, and so finds the events whose values the database refuses.
func (p *Applier) careful(ctx context.Context, b books.Build, events []es.RecordedEvent, bulk bool) (books.Build, error) {
	return p.commit(ctx, b, &work{events: events, after: b.Position, position: events[len(events)-1].Position, bulk: bulk})
}
