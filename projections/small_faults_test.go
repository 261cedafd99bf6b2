package projections_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

func TestKey_is_what_the_primary_key_is_of_and_not_what_it_includes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	def := balances()
	def.Table = `create table balances (owner text not null, account text not null, cents bigint not null, updated_at timestamptz not null, primary key (account) include (owner))`
	if err := projections.New(w.store, def).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantBalances("balances.balances")
}

func TestCategories_that_are_empty_are_all(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	def := totals()
	def.Categories = []string{}
	p := projections.New(w.store, def)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantTotals("totals.totals")
	w.append("a-1", Deposited{Cents: 5})
	if s, err := p.Status(t.Context()); err != nil || s.Lag != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestFailure_is_shown_whatever_its_text(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	p := projections.New(w.store, balances())
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("a-1", Deposited{Cents: 5})
	def := balances()
	def.Apply, def.TryApply = nil, func(*Balance, Event, es.Recorded) error { return errors.New("odd \x00 and \xff text") }
	p = projections.New(w.store, def)
	if err := p.Run(within(t, 30*time.Second)); err == nil {
		t.Fatal("it ran")
	}
	if s, err := p.Status(t.Context()); err != nil || !contains(errors.New(s.Failure), "odd ") || !contains(errors.New(s.Failure), " text") {
		t.Errorf("%q, %v", s.Failure, err)
	}
}

// Each as-of read has types of its own, and a connection remembers statements by their
// text.
func TestAsOf_is_read_again_on_the_connection_that_knows_other_types(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, pgstoretest.New(t, pgstoretest.MaxConns(1)))
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	p := projections.New(w.store, withFunction())
	for n := range 4 {
		var mood string
		err := p.AsOf(within(t, 20*time.Second), es.AtPosition(2), func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, `select 'sad'::mood from balances`).Scan(&mood)
		})
		if err != nil || mood != "sad" {
			t.Fatalf("read %d: %q, %v", n+1, mood, err)
		}
	}
}
