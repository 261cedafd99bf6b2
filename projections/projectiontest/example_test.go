package projectiontest_test

import (
	"fmt"
	"os"
	"runtime"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/internal/exampletest"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/projections/projectiontest"
)

// example says why a test fails.
type example struct{ exampletest.T }

func (*example) Errorf(text string, args ...any) { fmt.Fprintf(os.Stdout, text+"\n", args...) }
func (*example) Fatalf(text string, args ...any) {
	fmt.Fprintf(os.Stdout, text+"\n", args...)
	runtime.Goexit()
}

// Paid is an event: somebody has paid for an order.
type Paid struct{ Cents int64 }

// EventType is the event's name.
func (Paid) EventType() string { return "order.paid" }

// Bill is a row.
type Bill struct {
	Order string `db:"order_id"`
	Cents int64  `db:"cents"`
	paid  int64  `db:"-"`
}

// The field paid has no column, so it is lost when a row goes to its table and comes back.
func ExampleReplay() {
	t := &example{}
	defer t.End()
	store, codec := pgstoretest.New(t), es.JSON[Paid](Paid{})
	for i := range 12 {
		data, _ := codec.Encode(t.Context(), es.StreamID{}, Paid{Cents: 5})
		if _, err := store.Append(t.Context(), es.StreamID{Category: "order", ID: fmt.Sprintf("o-%d", i%3)}, es.Any, data); err != nil {
			t.Fatalf("%v", err)
		}
	}

	projectiontest.Replay(t, store, projections.Fold[Bill, Paid]{
		Name: "bills", Version: 1, Codec: codec,
		Table: `create table bills (order_id text primary key, cents bigint not null)`,
		Key:   func(_ Paid, r es.Recorded) string { return r.Stream.ID },
		Apply: func(b *Bill, e Paid, _ es.Recorded) {
			b.paid += e.Cents
			b.Cents = b.paid
		},
	})

	// Output:
	// projectiontest: row order_id=o-0 of table bills: cents is 5 when the events come one by one, and cents is 10 when they come 7 at a time.
	// It shows once the log has order.paid of order/o-0 version 2 at position 4; this is how the rows are then.
	// Between two batches a row goes through its table, within one it stays in memory, and the table does not give back what Apply has left in the row. Look here: what Apply leaves in a field without a column is lost (paid).
}

// An order of streams that does not matter, and columns that are not the events' to say.
func ExampleWithout() {
	t := &example{}
	defer t.End()
	store, codec := pgstoretest.New(t), es.JSON[Paid](Paid{})
	for i := range 12 {
		data, _ := codec.Encode(t.Context(), es.StreamID{}, Paid{Cents: 5})
		if _, err := store.Append(t.Context(), es.StreamID{Category: "order", ID: fmt.Sprintf("o-%d", i%3)}, es.Any, data); err != nil {
			t.Fatalf("%v", err)
		}
	}

	projectiontest.Replay(t, store, projections.Statements[Paid]{
		Name: "bills", Version: 1, Codec: codec, Order: projections.Commuting,
		Tables: `create table bills (number bigserial primary key, order_id text not null, cents bigint not null, written timestamptz not null)`,
		Apply: func(b *pgx.Batch, e Paid, r es.Recorded) {
			b.Queue(`insert into bills (order_id, cents, written) values ($1, $2, clock_timestamp())`, r.Stream.ID, e.Cents)
		},
	}, projectiontest.Without("bills.written"))
	fmt.Println("the same in every way")

	// Output:
	// the same in every way
}
