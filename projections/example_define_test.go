package projections_test

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// A Fold names its table, the row that an event touches, and what the event does to it.
func ExampleFold() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Deposited{Cents: 500})
	record(ctx, store, "bob", Deposited{Cents: 200})
	record(ctx, store, "ann", Withdrawn{Cents: 120})

	type Wallet struct {
		Account string `db:"account"`
		Cents   int64  `db:"cents"`
	}
	wallets := projections.Fold[Wallet, Event]{
		Name: "wallets", Version: 1,
		Table: `create table wallets (account text primary key, cents bigint not null)`,
		Codec: es.JSON[Event](Opened{}, Deposited{}, Withdrawn{}),
		Order: projections.OneStream,
		Key:   func(_ Event, r es.Recorded) string { return r.Stream.ID },
		Apply: func(w *Wallet, e Event, _ es.Recorded) { // the key is in its column already
			switch e := e.(type) {
			case Deposited:
				w.Cents += e.Cents
			case Withdrawn:
				w.Cents -= e.Cents
			}
		},
	}
	must(projections.New(store, wallets).Rebuild(ctx))
	show(ctx, store.Pool(), `select account, cents from wallets.wallets order by account`)

	// Output:
	// ann 380
	// bob 200
}

// An event may touch several rows: Apply is called for each. TryApply may say that it
// cannot apply the event. It is parked then for that row, and the rows that could take it
// have it.
func ExampleFold_keys() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Deposited{Cents: 500})
	record(ctx, store, "bob", Deposited{Cents: 200})
	record(ctx, store, "bob", Withdrawn{Cents: 300})

	type Total struct {
		Of    string `db:"of"`
		Cents int64  `db:"cents"`
	}
	totals := projections.Fold[Total, Event]{
		Name: "totals", Version: 1,
		Table: `create table totals (of text primary key, cents bigint not null)`,
		Codec: codec(),
		Order: projections.Commuting, // all accounts feed the row "all", in whatever order
		Keys:  func(_ Event, r es.Recorded) []string { return []string{"all", r.Stream.ID} },
		TryApply: func(t *Total, e Event, _ es.Recorded) error {
			switch e := e.(type) {
			case Deposited:
				t.Cents += e.Cents
			case Withdrawn:
				t.Cents -= e.Cents
			}
			if t.Cents < 0 {
				return errors.New("less than nothing")
			}
			return nil
		},
	}
	p := projections.New(store, totals)
	must(p.Rebuild(ctx))
	show(ctx, store.Pool(), `select of, cents from totals.totals order by of`)
	status, err := p.Status(ctx)
	must(err)
	fmt.Println("parked:", status.Parked)

	// Output:
	// all 400
	// ann 500
	// bob 200
	// parked: 1
}

// A row may have child rows in a table of their own. Apply finds them in the list, and
// changes it.
func ExampleFold_children() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Opened{Owner: "Ann"})
	record(ctx, store, "ann", Deposited{Cents: 500})
	record(ctx, store, "ann", Withdrawn{Cents: 70})

	type Line struct { // its primary key is that of its statement, and the line
		Line  int64 `db:"line"`
		Cents int64 `db:"cents"`
	}
	type Statement struct {
		Account string `db:"account"`
		Owner   string `db:"owner"`
		Lines   []Line `rows:"lines"`
	}
	statements := projections.Fold[Statement, Event]{
		Name: "statements", Version: 1,
		Table: `
			create table statements (account text primary key, owner text not null);
			create table lines (account text references statements, line bigint, cents bigint not null, primary key (account, line))`,
		Codec: codec(),
		Order: projections.OneStream,
		Key:   func(_ Event, r es.Recorded) string { return r.Stream.ID },
		Apply: func(s *Statement, e Event, r es.Recorded) {
			switch e := e.(type) {
			case Opened:
				s.Owner = e.Owner
			case Deposited:
				s.Lines = append(s.Lines, Line{Line: int64(r.Version), Cents: e.Cents})
			case Withdrawn:
				s.Lines = append(s.Lines, Line{Line: int64(r.Version), Cents: -e.Cents})
			}
		},
	}
	must(projections.New(store, statements).Rebuild(ctx))
	show(ctx, store.Pool(), `select owner, line, cents from statements.statements join statements.lines using (account) order by line`)
	lines, err := projections.Rows[Line](ctx, store.Pool(), `from statements.lines where cents < 0`)
	must(err)
	fmt.Println(lines)

	// Output:
	// Ann 2 500
	// Ann 3 -70
	// [{3 -70}]
}

// Statements are for what no Fold can say, as arithmetic in the database.
func ExampleStatements() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Opened{Owner: "Ann"})
	record(ctx, store, "ann", Deposited{Cents: 500})
	record(ctx, store, "ann", Deposited{Cents: 70})

	statements := projections.Statements[Event]{
		Name: "statements", Version: 1,
		Tables: `
			create table owners (account text primary key, owner text not null);
			create table lines (account text references owners, line bigint, cents bigint not null, primary key (account, line))`,
		Codec: codec(),
		Order: projections.OneStream,
		Apply: func(b *pgx.Batch, e Event, r es.Recorded) {
			switch e := e.(type) {
			case Opened:
				b.Queue(`insert into owners (account, owner) values ($1, $2)`, r.Stream.ID, e.Owner)
			case Deposited:
				b.Queue(`insert into lines (account, line, cents) values ($1, $2, $3)`, r.Stream.ID, r.Version, e.Cents)
			}
		},
	}
	must(projections.New(store, statements).Rebuild(ctx))
	show(ctx, store.Pool(), `select owner, line, cents from statements.owners join statements.lines using (account) order by line`)

	// Output:
	// Ann 2 500
	// Ann 3 70
}
