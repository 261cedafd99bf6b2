package projections_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// wide is a read model of many rows, of which some are removed, and the log for it.
func (w *world) wide() (def projections.Fold[Total, Event], last es.Position) {
	def = totals()
	def.Keys = func(_ Event, r es.Recorded) []string {
		keys := make([]string, 100)
		for i := range keys {
			keys[i] = fmt.Sprintf("%d", (int(r.Version)*37+i)%700)
		}
		return keys
	}
	def.Delete = func(t *Total) bool { return t.Cents%7 == 3 }
	for range 10 {
		last = w.append("a", Deposited{1}, Withdrawn{3}, Deposited{9}, Opened{"x"}, Deposited{2})
	}
	return def, last
}

// rowsOf reads the tables as of the end.
func (w *world) rowsAsOf(p *projections.Projector, at es.Position) map[string]Total {
	w.Helper()
	rows := map[string]Total{}
	err := p.AsOf(w.Context(), es.AtPosition(at), func(ctx context.Context, tx pgx.Tx) error {
		found, err := tx.Query(ctx, `select bucket, events, cents from totals`)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(found, pgx.RowToStructByName[Total])
		for _, t := range list {
			rows[t.Bucket] = t
		}
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return rows
}

// However little memory there is, the rows are the same.
func TestRows_that_memory_has_no_room_for_are_folded_in_parts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def, last := w.wide()
	plain := projections.New(w.store, def)
	if err := plain.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := tableOf(w, "totals.totals", byBucket)
	if len(want) < 300 {
		t.Fatalf("%d rows", len(want))
	}
	for _, bytes := range []int{1, 2_000, 10_000, 30_000} {
		var passes atomic.Int64
		counted := def
		counted.Keys = func(e Event, r es.Recorded) []string {
			if r.Version == 1 {
				passes.Add(1)
			}
			return def.Keys(e, r)
		}
		p := projections.New(w.store, counted, projections.WithMemory(bytes))
		if err := p.Rebuild(t.Context(), projections.WithChunk(7)); err != nil {
			t.Fatal(err)
		}
		if n := passes.Load(); n < 2 || bytes > 1 && n > int64(300_000/bytes)+2 { // the rows take about 60,000
			t.Errorf("%d bytes: the log was read %d times", bytes, n)
		}
		same(w, want, tableOf(w, "totals.totals", byBucket))
		same(w, want, w.rowsAsOf(p, last))
		if n := w.number(`select events from asof.lanes l join asof.builds b on b.id = l.build where b.status = 'live'`); n != 50 {
			t.Errorf("%d bytes: %d events are counted, want 50", bytes, n)
		}
	}
}

// A rebuild in parts that ends early leaves nothing, and the next one is whole.
func TestRebuild_in_parts_that_is_cut_short_begins_again(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def, _ := w.wide()
	if err := projections.New(w.store, def).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := tableOf(w, "totals.totals", byBucket)
	for _, cut := range []struct{ pass, version int64 }{{1, 40}, {2, 20}, {3, 1}} {
		ctx, stop := context.WithCancel(t.Context())
		var passes atomic.Int64 // over the event at which it is cut
		short := def
		short.Keys = func(e Event, r es.Recorded) []string {
			if r.Version == es.Version(cut.version) && passes.Add(1) == cut.pass {
				stop()
			}
			return def.Keys(e, r)
		}
		p := projections.New(w.store, short, projections.WithMemory(20_000))
		if err := p.Rebuild(ctx, projections.WithChunk(7)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if n := w.number(`select position from asof.lanes l join asof.builds b on b.id = l.build where b.status = 'building'`); n != 0 {
			t.Errorf("cut in pass %d: it is at position %d", cut.pass, n)
		}
		if err := p.Rebuild(t.Context(), projections.WithChunk(7)); err != nil {
			t.Fatal(err)
		}
		same(w, want, tableOf(w, "totals.totals", byBucket))
	}
}

// A value that the database refuses names its event, in parts too.
func TestRefused_value_names_its_event_in_parts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def, _ := w.wide()
	def.Delete = nil
	def.Table = `create table totals (bucket text primary key, events bigint not null, cents bigint not null check (cents < 50))`
	bad := w.append("a", Deposited{1000})
	w.append("a", Deposited{1})
	err := projections.New(w.store, def, projections.WithMemory(20_000)).Rebuild(t.Context(), projections.WithChunk(7))
	var event *projections.EventError
	if !errors.As(err, &event) || event.Event.Position != bad {
		t.Errorf("%v, want the event at position %d", err, bad)
	}
}
