package projections_test

import (
	"context"
	"errors"
	"testing"

	"github.com/asof-dev/asof/projections"
)

func TestRebuild_repairs_what_somebody_has_dropped_or_changed(t *testing.T) {
	t.Parallel()
	for text, damage := range map[string]string{
		"the table":             `drop table balances.balances cascade`,
		"the schema":            `drop schema balances cascade`,
		"a column":              `alter table balances.balances drop column owner cascade`,
		"a column's type":       `drop view balances.rich; alter table balances.balances alter owner type varchar(9)`,
		"the key":               `alter table balances.balances drop constraint balances_pkey`,
		"an index":              `drop index balances.balances_owner_idx`,
		"a view":                `drop view balances.rich`,
		"a policy":              `drop policy everybody on balances.balances`,
		"row level security":    `alter table balances.balances disable row level security`,
		"a default":             `alter table balances.balances alter note drop default`,
		"a check":               `alter table balances.balances drop constraint balances_cents_check`,
		"all rows":              `delete from balances.balances`,
		"the name of the table": `alter table balances.balances rename to mine`,
		"the name of a column":  `alter table balances.balances rename owner to mine`,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
			p := projections.New(w.store, withFunction())
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.exec(damage)
			w.append("a-1", Deposited{Cents: 7})
			err := p.Rebuild(t.Context())
			if text == "the name of the table" || text == "the name of a column" { // what has that name now would be lost
				if !errors.Is(err, projections.ErrByHand) || !contains(err, "mine") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			same(t, w.foldBalances(w.history()), tableOf(w, "(select account, owner, cents, updated_at from balances.balances) b", byAccount))
			for range 2 { // the damaged build goes with time
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if n := w.number(`select count(*) from asof.builds`); n != 2 {
				t.Errorf("%d builds", n)
			}
		})
	}
}

func TestRebuild_begins_anew_where_its_build_was_dropped_by_hand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 4 {
		w.append(name(i), Opened{Owner: "ann"}, Deposited{Cents: 5})
	}
	p := projections.New(w.store, totals())
	ctx, cancel := context.WithCancel(t.Context())
	err := p.Rebuild(ctx, projections.WithChunk(3), projections.WithProgress(func(p projections.Progress) {
		if p.Done > 0 {
			cancel()
		}
	}))
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	w.exec(`drop schema totals_v1_b1 cascade`)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantTotals("totals.totals")
}

func TestRollback_is_refused_to_a_build_that_was_damaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	older, newer := totals(), totals()
	newer.Version = 2
	for _, def := range []projections.Fold[Total, Event]{older, newer} {
		if err := projections.New(w.store, def).Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.exec(`drop schema totals_v1_b1 cascade`)
	if err := projections.New(w.store, older).Rollback(t.Context()); !errors.Is(err, projections.ErrNotBuilt) || !contains(err, "damaged") {
		t.Errorf("%v", err)
	}
	w.wantTotals("totals.totals")
	if err := projections.New(w.store, newer).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
}
