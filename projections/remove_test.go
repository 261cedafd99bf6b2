package projections_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/asof-dev/asof/projections"
)

// rest is what the database has of a projection: rows of the books, and schemas.
func (w *world) rest(name string) (books, schemas int64) {
	w.Helper()
	books = w.number(`
		select (select count(*) from asof.builds where name = $1)
		     + (select count(*) from asof.lanes where build not in (select id from asof.builds))
		     + (select count(*) from asof.sums where build not in (select id from asof.builds))
		     + (select count(*) from asof.dedup where build not in (select id from asof.builds))
		     + (select count(*) from asof.offsets where build not in (select id from asof.builds))`, name)
	return books, w.number(`select count(*) from pg_namespace where nspname like $1 || '%'`, name)
}

func (w *world) wantRest(name string, builds int64) {
	w.Helper()
	if books, schemas := w.rest(name); books != builds || schemas != builds {
		w.Errorf("%d rows of the books, %d schemas are left, want %d of each", books, schemas, builds)
	}
}

// held locks rows or tables until the returned function is called.
func (w *world) held(sql string) (letGo func()) {
	w.Helper()
	tx, err := w.pool.Begin(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	letGo = func() { _ = tx.Rollback(context.Background()) }
	w.Cleanup(letGo)
	if _, err := tx.Exec(w.Context(), sql); err != nil {
		w.Fatal(err)
	}
	return letGo
}

// Rows of Kafka's kind are there too, so that it is seen that they go.
func (w *world) withRowsOfKafka() {
	w.exec(`insert into asof.dedup select id, 'account', 'a-1', 1 from asof.builds`)
	w.exec(`insert into asof.offsets select id, 'account', 0, 1, 1 from asof.builds`)
}

func TestDropBuild_drops_one_that_is_kept_and_one_that_was_stopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	p := w.rebuilt(2)
	w.stopped(balances2())
	w.withRowsOfKafka()
	for id, state := range map[int64]string{1: projections.BuildKept, 3: projections.BuildBuilding} {
		b, err := projections.DropBuild(t.Context(), w.store, "balances", id)
		if err != nil || b.ID != id || b.State != state || b.Bytes() == 0 {
			t.Errorf("%+v, %v", b, err)
		}
		if _, err := projections.DropBuild(t.Context(), w.store, "balances", id); !errors.Is(err, projections.ErrNotBuilt) {
			t.Errorf("again: %v", err)
		}
	}
	w.wantRest("balances", 1)
	w.wantBalances("balances.balances")
	if err := p.Rollback(t.Context()); !errors.Is(err, projections.ErrNotBuilt) {
		t.Errorf("a rollback to what was dropped: %v", err)
	}
	if err := p.Rebuild(t.Context()); err != nil {
		t.Error(err)
	}
	w.wantRest("balances", 2)
}

// A kept build goes while the live one is being written to.
func TestDropBuild_does_not_mind_a_projector_on_the_live_one(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.rebuilt(2)
	letGo := w.held(`select from asof.builds where status = 'live' for update`)
	if _, err := projections.DropBuild(t.Context(), w.store, "balances", 1); err != nil {
		t.Error(err)
	}
	letGo()
	start(t, p)
	w.wait(p, w.append("a-1", Opened{Owner: "ann"}))
	w.wantBalances("balances.balances")
}

func TestDropBuild_refuses_what_is_live_or_in_use_or_not_there(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	p := w.rebuilt(2)
	refused := func(what string, id int64, want error, text string) {
		t.Helper()
		_, err := projections.DropBuild(t.Context(), w.store, "balances", id)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", what, err)
		}
		w.wantRest("balances", 2)
	}
	refused("the live one", 2, projections.ErrLive, "build 2 of balances (version 1, live)")
	refused("none", 7, projections.ErrNotBuilt, "no build 7")

	letGo := w.held(`select from asof.builds where id = 1 for update`) // as a rollback that takes it up
	refused("held", 1, projections.ErrBusy, "writing")
	letGo()

	letGo = w.held(`select * from balances_v1_b1.balances`)
	refused("read by somebody", 1, projections.ErrBusy, "balances_v1_b1")
	letGo()

	w.exec(`create view elsewhere as select * from balances_v1_b1.balances`)
	refused("with a view on it", 1, projections.ErrDependents, "view elsewhere: drop them first")
	w.exec(`drop view elsewhere`)

	if _, err := projections.DropBuild(t.Context(), w.store, "totals", 1); !errors.Is(err, projections.ErrNotBuilt) {
		t.Errorf("of another projection: %v", err)
	}
	w.wantRest("balances", 2)
	if err := p.Rollback(t.Context()); err != nil {
		t.Errorf("what was refused is harmed: %v", err)
	}
}

// Books that somebody has damaged are not made worse.
func TestDropBuild_of_which_the_books_have_a_part_is_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rebuilt(2)
	w.exec(`delete from asof.lanes where build = 1`)
	_, one := projections.DropBuild(t.Context(), w.store, "balances", 1)
	_, all := projections.DropProjection(t.Context(), w.store, "balances")
	for _, err := range []error{one, all} {
		if err == nil || !strings.Contains(err.Error(), "lanes") {
			t.Errorf("%v", err)
		}
	}
	w.wantRest("balances", 2)
	w.exec(`insert into asof.lanes (build, lane) values (1, 0)`)
	if _, err := projections.DropProjection(t.Context(), w.store, "balances"); err != nil {
		t.Error(err)
	}
	w.wantRest("balances", 0)
}

// A rebuild holds what it builds between its transactions too; so does a rollback.
func TestDropBuild_refuses_what_a_rebuild_or_a_rollback_holds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	p := w.rebuilt(2)
	try := func(id int64) projections.RebuildOption {
		return projections.WithProgress(func(progress projections.Progress) {
			if progress.Phase != "verifying" {
				return
			}
			if _, err := projections.DropBuild(t.Context(), w.store, "balances", id); !errors.Is(err, projections.ErrBusy) || !strings.Contains(err.Error(), "building") {
				t.Errorf("build %d: %v", id, err)
			}
			if _, err := projections.DropProjection(t.Context(), w.store, "balances"); !errors.Is(err, projections.ErrBusy) {
				t.Errorf("the whole, while build %d is filled: %v", id, err)
			}
		})
	}
	if err := p.Rebuild(t.Context(), try(3)); err != nil {
		t.Error(err)
	}
	if err := p.Rollback(t.Context(), try(2)); err != nil {
		t.Error(err)
	}
	w.wantRest("balances", 2)
}

// Of a projection that no program has any more, nothing is left; others are not touched.
func TestDropProjection_leaves_nothing_of_it(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	if err := projections.New(w.store, totals()).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.rebuilt(2)
	w.stopped(balances2())
	w.withRowsOfKafka()
	w.exec(`insert into asof.skips (name, event_id, reason) select name, gen_random_uuid(), 'no' from unnest('{balances,totals}'::text[]) name`)
	list, err := projections.DropProjection(t.Context(), w.store, "balances")
	if err != nil || len(list) != 3 {
		t.Errorf("%+v, %v", list, err)
	}
	w.wantRest("balances", 0)
	w.wantRest("totals", 1)
	w.wantTotals("totals.totals")
	if skips, err := projections.ListSkipped(t.Context(), w.store); err != nil || len(skips) != 1 || skips[0].Projection != "totals" {
		t.Errorf("%+v, %v", skips, err)
	}
	if all, err := projections.List(t.Context(), w.store); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := projections.DropProjection(t.Context(), w.store, "balances"); !errors.Is(err, projections.ErrNotBuilt) || !strings.Contains(err.Error(), "balances") {
		t.Errorf("again: %v", err)
	}
	w.rebuilt(1) // the name is free
	w.wantBalances("balances.balances")
}

func TestDropProjection_drops_all_or_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	w.rebuilt(2)
	refused := func(what string, want error, text string) {
		t.Helper()
		if _, err := projections.DropProjection(t.Context(), w.store, "balances"); !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", what, err)
		}
		w.wantRest("balances", 2)
	}
	for _, schema := range []string{"balances", "balances_v1_b1"} {
		w.exec(`create view elsewhere as select * from ` + schema + `.balances`)
		refused("a view on "+schema, projections.ErrDependents, schema+": view elsewhere")
		w.exec(`drop view elsewhere`)
	}
	letGo := w.held(`select from asof.builds where status = 'live' for update`) // as a batch
	refused("a batch", projections.ErrBusy, "projector")
	letGo()
	letGo = w.held(`select * from balances.balances`)
	refused("a reader", projections.ErrBusy, "tables of balances:")
	letGo()
	w.wantBalances("balances.balances")
}

// A program that has the projection after all, and runs, begins anew: it neither fails for
// good nor writes into what is dropped.
func TestDropProjection_under_a_projector_that_runs_has_it_built_again(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, balances())
	start(t, p)
	w.wait(p, w.append("a-1", Opened{Owner: "ann"}))
	until(t, "it is dropped", func() bool {
		_, err := projections.DropProjection(t.Context(), w.store, "balances")
		if err != nil && !errors.Is(err, projections.ErrBusy) {
			t.Fatal(err)
		}
		return err == nil
	})
	w.wait(p, w.append("a-2", Opened{Owner: "bob"}))
	w.wantBalances("balances.balances")
	w.wantRest("balances", 1)
}

// Whoever waits for a build that is being dropped finds that it is gone.
func TestDropBuild_before_a_rollback_that_waits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	p := w.rebuilt(2)
	result := make(chan error, 1)
	tracer := &meanwhile{at: "drop schema if exists", do: func() {
		go func() { result <- p.Rollback(t.Context()) }()
		until(t, "the rollback waits", func() bool {
			return w.number(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == 1
		})
	}}
	if _, err := projections.DropBuild(t.Context(), w.otherPool(tracer), "balances", 1); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, projections.ErrNotBuilt) {
		t.Errorf("%v", err)
	}
	w.wantRest("balances", 1)
	w.wantBalances("balances.balances")
}
