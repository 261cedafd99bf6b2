package projections_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// families has tables of which one refers to the other, and writes the row that refers first:
// the database looks at the end of a transaction.
func families() projections.Statements[Event] {
	return projections.Statements[Event]{
		Name: "families", Version: 1, Codec: codec(), Order: projections.Commuting,
		Tables: `create table parents (id bigint primary key);
			create table children (id bigint primary key references parents deferrable initially deferred, cents bigint not null check (cents < 1000))`,
		Apply: func(b *pgx.Batch, e Event, r es.Recorded) {
			b.Queue(`insert into children values ($1, $2)`, int64(r.Position), cents(e))
			b.Queue(`insert into parents values ($1)`, int64(r.Position))
		},
	}
}

// A read as of a moment that has found what is refused goes on as a projector does, which
// checks what is deferred at the end of each batch and not at each statement.
func TestAsOf_defers_what_is_deferred_behind_what_is_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, families())
	w.append("a-1", Deposited{Cents: 100})
	w.append("a-2", Deposited{Cents: 5000}) // refused
	w.append("a-3", Deposited{Cents: 200})
	last := w.append("a-4", Deposited{Cents: 300})
	start(t, p)
	reach(t, p, last)
	wantParked(t, p, w.store, 1)
	w.wantChildren(p, last, 3, 600)
}

// More statements than are sent at once: the second part of a read as of a moment defers as the
// first does.
func TestAsOf_defers_what_is_deferred_in_every_part(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, families())
	many := make([]Event, 1000)
	for n := range many {
		many[n] = Deposited{Cents: 1}
	}
	var last es.Position
	for n := range 16 { // two statements each, of which 20,000 are sent at once
		last = w.append(name(n), many...)
	}
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantParked(t, p, w.store, 0)
	w.wantChildren(p, last, 16_000, 16_000)
}

// wantChildren checks that the live tables, and those as of a position, have so many children
// and cents.
func (w *world) wantChildren(p *projections.Projector, at es.Position, children, cents int64) {
	w.Helper()
	const sum = `select count(*) || ' of ' || coalesce(sum(cents), 0) from %schildren`
	want := fmt.Sprintf("%d of %d", children, cents)
	var live, past string
	if err := w.pool.QueryRow(w.Context(), fmt.Sprintf(sum, "families.")).Scan(&live); err != nil {
		w.Fatal(err)
	}
	err := p.AsOf(w.Context(), es.AtPosition(at), func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, fmt.Sprintf(sum, "")).Scan(&past)
	})
	if err != nil || live != want || past != want {
		w.Errorf("live %s, as of the end %s, want %s; %v", live, past, want, err)
	}
}
