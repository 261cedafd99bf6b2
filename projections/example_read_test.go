package projections_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// A program runs the projector until it is told to stop. Others read the table with SQL;
// the schema has the projection's name.
func ExampleProjector_Run() {
	t := &example{}
	defer t.End()
	store := t.store()
	record(t.Context(), store, "ann", Deposited{Cents: 500})

	ctx, cancel := context.WithCancel(t.Context())
	p := projections.New(store, wallets)
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }() // builds the table first, as there is none
	must(p.WaitFor(ctx, 1))
	cancel()
	fmt.Println("Run:", <-done)

	var cents int64
	must(store.Pool().QueryRow(t.Context(), `select cents from wallets.wallets where account = $1`, "ann").Scan(&cents))
	fmt.Println(cents)

	// Output:
	// Run: <nil>
	// 500
}

// Who has appended an event waits until the read model has it, and reads what it wrote.
func ExampleProjector_WaitFor() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	p := projections.New(store, wallets)
	start(t, p)

	last := record(ctx, store, "ann", Deposited{Cents: 500})
	ctx, cancel := soon(ctx) // it does not wait for ever
	defer cancel()
	must(p.WaitFor(ctx, last.Position))

	var cents int64
	must(store.Pool().QueryRow(ctx, `select cents from wallets.wallets where account = $1`, "ann").Scan(&cents))
	fmt.Println(cents)

	// Output:
	// 500
}

// A token tells another request, or another process, which event to wait for. It goes into
// a header or a cookie.
func ExampleProjector_WaitForToken() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	p := projections.New(store, wallets)
	start(t, p)

	// Where it is written:
	last := record(ctx, store, "ann", Deposited{Cents: 500})
	token, err := store.Token(ctx, last)
	must(err)
	header := token.String()

	// Where it is read:
	token, err = es.ParseToken(header)
	must(err)
	must(p.WaitForToken(ctx, token))
	show(ctx, store.Pool(), `select account, cents from wallets.wallets`)

	// Output:
	// ann 500
}

// What could not be applied is parked, and the caller is told so in place of waiting.
func ExampleParkedError() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	p := projections.New(store, careful)
	start(t, p)

	last := record(ctx, store, "ann", Withdrawn{Cents: 300})
	err := p.WaitFor(ctx, last.Position)
	if parked, is := errors.AsType[*projections.ParkedError](err); is {
		fmt.Println(parked.Stream, parked.Version, parked.Reason)
	}

	// Output:
	// account/ann 1 less than nothing
}

// The status says how far a projection is and what is wrong with it.
func ExampleProjector_Status() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Deposited{Cents: 500})
	p := projections.New(store, wallets)
	must(p.Rebuild(ctx))
	record(ctx, store, "ann", Withdrawn{Cents: 120}) // nobody follows

	status, err := p.Status(ctx)
	must(err)
	fmt.Println("version", status.Version, "at position", status.Position)
	fmt.Println("lag", status.Lag, "skipped", status.Skipped, "parked", status.Parked)
	fmt.Println("paused", status.Paused != nil, "building", status.Building != nil)
	fmt.Printf("failure %q\n", status.Failure)

	// Output:
	// version 1 at position 1
	// lag 1 skipped 0 parked 0
	// paused false building false
	// failure ""
}

// One process runs all of its projectors. What stops one does not stop the others.
func ExampleRunAll() {
	t := &example{}
	defer t.End()
	store := t.store()
	other := wallets
	other.Name, other.Version = "copy", 2

	ctx, cancel := context.WithCancel(t.Context())
	one, two := projections.New(store, wallets), projections.New(store, other)
	done := make(chan error, 1)
	go func() { done <- projections.RunAll(ctx, one, two) }()

	last := record(ctx, store, "ann", Deposited{Cents: 500})
	must(one.WaitFor(ctx, last.Position))
	must(two.WaitFor(ctx, last.Position))
	cancel()
	must(<-done)

	list, err := projections.List(t.Context(), store)
	must(err)
	for _, status := range list {
		fmt.Println(status.Name, status.Version, status.Position)
	}

	// Output:
	// copy 2 1
	// wallets 1 1
}
