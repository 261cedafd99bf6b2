package projections_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/internal/exampletest"
	"github.com/asof-dev/asof/projections"
)

// example has databases and brokers, which end with it.
type example struct{ exampletest.T }

// store is an empty log, with the framework's tables.
func (e *example) store() *pgstore.Store { return pgstoretest.New(e) }

// database is another service's, with the framework's tables.
func (e *example) database() *pgxpool.Pool { return pgstoretest.New(e).Pool() }

// kafka is a client of brokers, and a prefix for topics that nobody else has.
func (e *example) kafka() (client *kafka.Client, prefix string) {
	return newClient(e, embeddedtest.Brokers(e)...), "example-" + uuid.NewString() + "."
}

// publish runs a relay until all of a log is in Kafka.
func (e *example) publish(store *pgstore.Store, client *kafka.Client, prefix string) {
	ctx, cancel := context.WithCancel(e.Context())
	done := make(chan error, 1)
	relay := outbox.New(store, client, "/accounts", outbox.WithTopicPrefix(prefix), outbox.WithPartitions(partitions))
	go func() { done <- relay.Run(ctx) }()
	until(e, "all is published", func() bool {
		status, err := outbox.ReadStatus(e.Context(), store)
		must(err)
		return status.Lag == 0
	})
	cancel()
	must(<-done)
}

// record appends an event to an account.
func record(ctx context.Context, store *pgstore.Store, id string, event Event) es.Recorded {
	data, err := codec().Encode(ctx, es.StreamID{}, event)
	must(err)
	recorded, err := store.Append(ctx, account(id), es.Any, data)
	must(err)
	return recorded[0].Recorded
}

// show writes what a query gives, a row a line.
func show(ctx context.Context, db queries, sql string) {
	rows, err := db.Query(ctx, sql)
	must(err)
	_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) {
		values, err := row.Values()
		fmt.Fprintln(os.Stdout, values...)
		return struct{}{}, err
	})
	must(err)
}

// must stands for what a program does with errors.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Wallet is a row of the read model.
type Wallet struct {
	Account string `db:"account"`
	Cents   int64  `db:"cents"`
}

// wallets says what is in each account.
var wallets = projections.Fold[Wallet, Event]{
	Name: "wallets", Version: 1,
	Table:      `create table wallets (account text primary key, cents bigint not null)`,
	Codec:      codec(),
	Categories: []string{"account"},
	Order:      projections.OneStream, // a row is fed by one account alone
	Key:        func(_ Event, r es.Recorded) string { return r.Stream.ID },
	Apply: func(w *Wallet, e Event, _ es.Recorded) {
		switch e := e.(type) {
		case Deposited:
			w.Cents += e.Cents
		case Withdrawn:
			w.Cents -= e.Cents
		}
	},
}

// soon is as long as an example waits for what comes in milliseconds.
func soon(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 20*time.Second)
}
