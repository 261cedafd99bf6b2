package projections_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// What the row type of a Fold has, a query reads: no list of columns is kept beside it.
func ExampleRows() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Deposited{Cents: 500})
	record(ctx, store, "bob", Deposited{Cents: 200})
	record(ctx, store, "eve", Deposited{Cents: 700})
	must(projections.New(store, wallets).Rebuild(ctx))

	rich, err := projections.Rows[Wallet](ctx, store.Pool(), `from wallets.wallets where cents >= $1 order by cents desc`, 500)
	must(err)
	for _, w := range rich {
		fmt.Println(w.Account, w.Cents)
	}

	// Output:
	// eve 700
	// ann 500
}

// A row whose primary key has two columns is named by both.
func ExampleCompositeKey() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Deposited{Cents: 500})
	record(ctx, store, "ann", Withdrawn{Cents: 120})
	record(ctx, store, "ann", Deposited{Cents: 70})

	type Movement struct {
		Account string `db:"account"`
		Kind    string `db:"kind"`
		Cents   int64  `db:"cents"`
	}
	movements := projections.Fold[Movement, Event]{
		Name: "movements", Version: 1,
		Table: `create table movements (account text, kind text, cents bigint not null, primary key (account, kind))`,
		Codec: codec(),
		Order: projections.OneStream,
		Key: func(e Event, r es.Recorded) string {
			return projections.CompositeKey(r.Stream.ID, e.EventType())
		},
		Apply: func(m *Movement, e Event, _ es.Recorded) { m.Cents += cents(e) },
	}
	must(projections.New(store, movements).Rebuild(ctx))
	show(ctx, store.Pool(), `select account, kind, cents from movements.movements order by kind`)
	fmt.Println(projections.CompositeKey("ann", "a, b"))

	// Output:
	// ann account.deposited 570
	// ann account.withdrawn 120
	// ann,a\, b
}

func TestRows_of_a_read_model_are_read_by_the_columns_of_the_row_type(t *testing.T) {
	t.Parallel()
	type base struct {
		At int64 `db:"by Hand"`
	}
	type row struct {
		Key string `db:"select"`
		base
		Note *string `db:"note"`
		Gone int     `db:"-"`
	}
	w := newWorld(t)
	w.exec(`create table odd ("by Hand" bigint, more text, note text, "select" text); insert into odd values (1, 'more', null, 'a'), (2, 'more', 'n', 'b')`)
	got, err := projections.Rows[row](t.Context(), w.pool, "\n  FROM odd where \"select\" <> $1 order by 1", "c")
	if err != nil || len(got) != 2 || got[0].Key != "a" || got[0].At != 1 || got[0].Note != nil || *got[1].Note != "n" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := projections.Rows[row](t.Context(), w.pool, "from odd where false"); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// The lists of child rows have tables of their own, and stay empty.
func TestRows_are_read_without_their_child_rows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(sheetsTable + `; insert into sheets (account, events) values ('ann', 2); insert into entries (account, kind, slot, cents, note) values ('ann', 'in', 1, 5, 'x')`)
	sheets, err := projections.Rows[Sheet](t.Context(), w.pool, "from sheets")
	if err != nil || len(sheets) != 1 || sheets[0].Account != "ann" || sheets[0].Events != 2 || sheets[0].Entries != nil {
		t.Errorf("%+v, %v", sheets, err)
	}
	entries, err := projections.Rows[Entry](t.Context(), w.pool, "from entries where account = $1", "ann")
	if err != nil || len(entries) != 1 || entries[0].Kind != "in" || entries[0].Cents != 5 {
		t.Errorf("%+v, %v", entries, err)
	}
}

func TestRows_that_cannot_be_read_say_why(t *testing.T) {
	t.Parallel()
	type untagged struct{ Lost int64 }
	w := newWorld(t)
	if _, err := projections.Rows[Balance](t.Context(), w.pool, "select * from balances"); !errors.Is(err, projections.ErrInvalid) || !contains(err, `give it from its word "from" on`) {
		t.Errorf("%v", err)
	}
	if _, err := projections.Rows[untagged](t.Context(), w.pool, "from balances"); !errors.Is(err, projections.ErrInvalid) || !contains(err, "field Lost") {
		t.Errorf("%v", err)
	}
	if _, err := projections.Rows[Balance](t.Context(), w.pool, "from nowhere.balances"); !contains(err, "projections_test.Balance") || !contains(err, "nowhere.balances") {
		t.Errorf("%v", err)
	}
}
