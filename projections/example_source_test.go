package projections_test

import (
	"fmt"
	"strings"

	"github.com/asof-dev/asof/projections"
)

// The read model stands beside the log, and follows it.
func ExampleNew() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()

	p := projections.New(store, wallets)
	start(t, p) // p.Run, until the example ends

	last := record(ctx, store, "ann", Deposited{Cents: 500})
	must(p.WaitFor(ctx, last.Position))
	show(ctx, store.Pool(), `select account, cents from wallets.wallets`)

	// Output:
	// ann 500
}

// The read model stands in a database of its own, and follows the log in another one.
func ExampleFromLog() {
	t := &example{}
	defer t.End()
	ctx, store, reports := t.Context(), t.store(), t.database()

	p := projections.New(projections.In(reports, "asof"), wallets, projections.FromLog(store))
	start(t, p)

	last := record(ctx, store, "ann", Deposited{Cents: 500})
	must(p.WaitFor(ctx, last.Position))
	show(ctx, reports, `select account, cents from wallets.wallets`)

	// Output:
	// ann 500
}

// Kafka brings the events, and the log beside the read model decides what they are. What
// Kafka loses is read from the log.
func ExampleFromKafka() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	client, prefix := t.kafka()
	record(ctx, store, "ann", Deposited{Cents: 500})
	t.publish(store, client, prefix)

	p := projections.New(store, wallets, projections.FromKafka(client, projections.WithTopicPrefix(prefix)))
	start(t, p)
	until(t, "it reads the topic", func() bool { // before, it follows the log
		status, err := p.Status(ctx)
		return err == nil && strings.HasPrefix(status.Source, "kafka topic ")
	})
	last := record(ctx, store, "ann", Withdrawn{Cents: 120})
	t.publish(store, client, prefix)
	must(p.WaitFor(ctx, last.Position))
	show(ctx, store.Pool(), `select account, cents from wallets.wallets`)

	// Output:
	// ann 380
}

// Another service's events come by Kafka alone. A position means nothing here, so the
// caller waits for a token, which the other service gives.
func ExampleFromKafka_alone() {
	t := &example{}
	defer t.End()
	ctx, accounts, reports := t.Context(), t.store(), t.database()
	client, prefix := t.kafka()
	record(ctx, accounts, "ann", Deposited{Cents: 500})
	last := record(ctx, accounts, "ann", Withdrawn{Cents: 120})
	t.publish(accounts, client, prefix)

	p := projections.New(projections.In(reports, "asof"), wallets, projections.FromKafka(client, projections.WithTopicPrefix(prefix)))
	start(t, p)

	token, err := accounts.Token(ctx, last)
	must(err)
	must(p.WaitForToken(ctx, token))
	show(ctx, reports, `select account, cents from wallets.wallets`)
	_, err = p.Verify(ctx)
	fmt.Println(err)

	// Output:
	// ann 380
	// projections: there is no log behind the read model: wallets is not verified
}
