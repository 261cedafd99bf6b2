package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/catalog"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
	"github.com/asof-dev/asof/projections/internal/rehearsal"
	"github.com/asof-dev/asof/projections/internal/table"
)

// Rehearse is for package projectiontest, which applies events as a running projector
// and a rebuild would, to tables of its own and without books.
func Rehearse(ctx context.Context, a *apply.Applier) (*rehearsal.Stage, error) {
	s := &rehearsal.Stage{Name: a.Def.Name, Order: a.Def.Order.String(), Overtake: a.Def.Order != fold.LogOrder, Play: func(ctx context.Context, plan rehearsal.Plan, read func(ctx context.Context, tx pgx.Tx) error) error {
		return play(ctx, a, plan, read)
	}}
	err := vanishing(ctx, a, func(tx pgx.Tx) error {
		m, _, err := scratch(ctx, a, tx)
		if err != nil {
			return err
		}
		if f, folds := m.(fold.Fitted); folds {
			s.Columns, s.Copies, s.Lost = f.Fit().Columns(), f.Fit().Copies(), f.Fit().Lost()
		}
		return nil
	})
	return s, fault.Wrap("rehearse "+a.Def.Name, err)
}

// play applies a plan, in transactions as real as those of a projector, and lets read
// look at what it came to.
func play(ctx context.Context, a *apply.Applier, plan rehearsal.Plan, read func(ctx context.Context, tx pgx.Tx) error) (err error) {
	schema := a.Def.Name + "_try_" + uuid.New().String()[:13]
	s := &stage{applier: a, plan: plan, place: table.Place{Schema: schema, Tag: "try " + schema}, seen: apply.Versions{}}
	begin := func(use func(tx pgx.Tx) error) error {
		return pgx.BeginTxFunc(ctx, a.Books.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, use)
	}
	err = begin(func(tx pgx.Tx) error {
		if err := catalog.MakeTables(ctx, tx, schema, a.Def.Name, a.Def.DDL); err != nil {
			return err
		}
		s.model, err = a.Def.Bind(ctx, tx, schema)
		if f, folds := s.model.(fold.Fitted); folds {
			s.copies = f.Fit().Copies()
		}
		return err
	})
	if err != nil {
		return fault.Wrap("rehearse "+a.Def.Name, err)
	}
	defer func() {
		_, dropped := a.Books.Pool().Exec(context.WithoutCancel(ctx), `drop schema `+table.Quote(schema)+` cascade`)
		if dropped != nil {
			err = errors.Join(err, fault.Explain("drop the schema "+schema, dropped))
		}
	}()
	a.Def.Concurrency, a.Def.Always = max(1, plan.Beside), true
	s.open()
	if err := s.run(ctx); err != nil {
		return fault.Wrap("rehearse "+a.Def.Name, err)
	}
	return begin(func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, catalog.SearchPathSQL, schema); err != nil {
			return err
		}
		return read(ctx, tx)
	})
}

// stage is the tables of one plan and what is known of them.
type stage struct {
	applier *apply.Applier
	plan    rehearsal.Plan
	model   fold.Model
	copies  bool
	place   table.Place
	state   fold.State
	begun   bool // something was committed
	seen    apply.Versions
}

// open forgets all, as a program does that ends.
func (s *stage) open() { s.state = s.model.Open(s.place, s.plan.Rebuild && !s.begun) }

func (s *stage) run(ctx context.Context) error {
	if s.plan.Parts {
		return s.runParts(ctx)
	}
	for _, b := range s.plan.Batches {
		err := s.apply(ctx, b.Events, b.Crash)
		if err == nil && b.Crash != rehearsal.Never {
			s.open()
			err = s.apply(ctx, b.Events, rehearsal.Never)
		}
		if err != nil {
			return s.name(b.Events, err)
		}
	}
	return nil
}

// apply is what a projector does with a batch, as far as it gets.
func (s *stage) apply(ctx context.Context, events []es.RecordedEvent, crash rehearsal.Crash) error {
	todo := s.admit(events)
	if len(todo) < len(events) { // a reader is ahead of what is applied, and decodes all
		s.model.Decode(ctx, s.wanted(events))
	}
	if len(todo) == 0 {
		return nil
	}
	if err := s.fold(ctx, todo); err != nil || crash == rehearsal.Folded {
		return err
	}
	how := table.How{Alone: s.plan.Rebuild}
	xid, err := s.write(ctx, how, crash)
	if pg.Is(err, pg.UniqueViolation) {
		how.Moves = true
		xid, err = s.write(ctx, how, crash)
	}
	if errors.Is(err, fault.ErrDone) { // rolled back
		return nil
	}
	if err != nil {
		return err
	}
	s.begun = true
	for i := range todo {
		s.seen[todo[i].Stream] = todo[i].Version
	}
	if s.plan.Memory {
		s.state.Written(xid, s.applier.Room)
	} else {
		s.state.Written(xid, 0)
	}
	return nil
}

// admit drops what is applied and what is not wanted.
func (s *stage) admit(events []es.RecordedEvent) []es.RecordedEvent {
	var todo []es.RecordedEvent
	last := apply.Versions{}
	for i := range events {
		e := &events[i]
		if e.Version > max(s.seen[e.Stream], last[e.Stream]) && s.applier.Def.Wants(e.Stream.Category) {
			todo = append(todo, *e)
			last[e.Stream] = e.Version
		}
	}
	return todo
}

// wanted are the events of the projection's categories.
func (s *stage) wanted(events []es.RecordedEvent) []es.RecordedEvent {
	return slices.DeleteFunc(slices.Clone(events), func(e es.RecordedEvent) bool { return !s.applier.Def.Wants(e.Stream.Category) })
}

func (s *stage) fold(ctx context.Context, events []es.RecordedEvent) error {
	return s.state.Fold(ctx, s.applier.Send, s.decode(ctx, events), &fold.Parking{Def: s.applier.Def}) // it parks nothing
}

// decode is what a reader does with a page, whose memory the next one may have.
func (s *stage) decode(ctx context.Context, events []es.RecordedEvent) fold.Decoded {
	if !s.plan.Reuse {
		return s.model.Decode(ctx, events)
	}
	events = slices.Clone(events)
	for i := range events {
		events[i].Data = slices.Clone(events[i].Data)
	}
	decoded := s.model.Decode(ctx, events)
	for i := range events {
		for n := range events[i].Data {
			events[i].Data[n] = '!'
		}
	}
	return decoded
}

// tryXidSQL returns the transaction's id.
const tryXidSQL = `select pg_current_xact_id()::xid::text::bigint`

// begin queues what a batch begins with.
func (s *stage) begin(batch *pgx.Batch, xid *int64) {
	batch.Queue(catalog.SearchPathSQL, s.place.Schema)
	batch.Queue(apply.LongSQL)
	batch.Queue(`set local synchronous_commit to off`)
	batch.Queue(tryXidSQL).QueryRow(func(row pgx.Row) error { return row.Scan(xid) })
}

// write sends what is folded, and commits it or gives errDone.
func (s *stage) write(ctx context.Context, how table.How, crash rehearsal.Crash) (uint32, error) {
	var xid int64
	err := s.applier.Transaction(ctx, func(conn *pgx.Conn, batch *pgx.Batch) error {
		s.begin(batch, &xid)
		if s.plan.Rebuild || s.state.ByPath() {
			if err := apply.SendOn(ctx, conn, batch); err != nil {
				return err
			}
		}
		if err := s.put(ctx, conn, batch, how); err != nil || crash != rehearsal.Written {
			return err
		}
		if err := apply.SendOn(ctx, conn, batch); err != nil {
			return err
		}
		return fault.ErrDone
	})
	return uint32(xid), err //nolint:gosec // it has 32 bits
}

// put writes what is folded: by COPY where a rebuild would, if there were some more rows.
func (s *stage) put(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch, how table.How) error {
	if s.plan.Rebuild && !s.begun && s.copies {
		return s.state.CopyParts(ctx, conn, nil)
	}
	return s.state.Write(ctx, conn, batch, how)
}

// manyParts are enough to show what depends on parts; for each, all events are folded.
const manyParts = 12

// runParts folds all and writes it in parts, as a rebuild does with rows that memory has
// no room for.
func (s *stage) runParts(ctx context.Context) error {
	parts := 1
	pass := func() error {
		for _, b := range s.plan.Batches {
			if err := s.fold(ctx, s.wanted(b.Events)); err != nil {
				return err
			}
			if parts < manyParts && s.state.Split() {
				parts++
			}
		}
		return nil
	}
	if err := pass(); err != nil {
		return err
	}
	return s.applier.Transaction(ctx, func(conn *pgx.Conn, batch *pgx.Batch) error {
		s.begin(batch, new(int64))
		if err := apply.SendOn(ctx, conn, batch); err != nil {
			return err
		}
		return s.state.CopyParts(ctx, conn, pass)
	})
}

// name says of what the database has refused which event it comes from, or which events.
func (s *stage) name(events []es.RecordedEvent, err error) error {
	var event *fault.EventError
	if errors.As(err, &event) || !s.applier.Refused(err) {
		return err
	}
	first, last := events[0].Recorded, events[len(events)-1].Recorded
	if len(events) == 1 {
		return &fault.EventError{Projection: s.applier.Def.Name, Version: s.applier.Def.Version, Event: first, Err: fmt.Errorf("the database refuses what it comes to: %w", err)}
	}
	return fmt.Errorf("the database refuses what the batch comes to that begins with %s version %d and ends with %s version %d: %w", first.Stream, first.Version, last.Stream, last.Version, err)
}
