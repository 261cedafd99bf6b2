package projections_test

import (
	"errors"
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// careful is wallets in a program that refuses a row below zero.
var careful = func() projections.Fold[Wallet, Event] {
	def := wallets
	def.Apply = nil
	def.TryApply = func(w *Wallet, e Event, r es.Recorded) error {
		if wallets.Apply(w, e, r); w.Cents < 0 {
			return errors.New("less than nothing")
		}
		return nil
	}
	return def
}()

// What cannot be applied is parked, with what comes after it in its sequence. All else
// goes on.
func ExampleListParked() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Withdrawn{Cents: 300})
	record(ctx, store, "ann", Deposited{Cents: 500})
	record(ctx, store, "bob", Deposited{Cents: 200})
	must(projections.New(store, careful).Rebuild(ctx))

	show(ctx, store.Pool(), `select account, cents from wallets.wallets`)
	list, err := projections.ListParked(ctx, store, "wallets")
	must(err)
	for _, p := range list {
		fmt.Printf("%s version %d, row %s: %q, %d tries\n", p.Event.Stream, p.Event.Version, p.Key, p.Error, p.Attempts)
	}

	// Output:
	// bob 200
	// account/ann version 1, row ann: "less than nothing", 1 tries
	// account/ann version 2, row ann: "", 0 tries
}

// The program is mended, and what was parked is tried again, in order.
func ExampleProjector_RetryAll() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Withdrawn{Cents: 300})
	record(ctx, store, "ann", Deposited{Cents: 500})
	must(projections.New(store, careful).Rebuild(ctx))

	mended := projections.New(store, wallets)
	done, err := mended.RetryAll(ctx)
	must(err)
	fmt.Printf("%d applied, %d parked\n", done.Applied, done.Parked)
	show(ctx, store.Pool(), `select account, cents from wallets.wallets`)

	// Output:
	// 2 applied, 0 parked
	// ann 200
}

// An event that is to be left out is skipped, with a reason. What waits behind it is tried
// again, and rebuilds leave it out too.
func ExampleProjector_Skip() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	mistake := record(ctx, store, "ann", Withdrawn{Cents: 300})
	record(ctx, store, "ann", Deposited{Cents: 500})
	p := projections.New(store, careful)
	must(p.Rebuild(ctx))

	done, err := p.Skip(ctx, mistake.ID, "entered by mistake")
	must(err)
	fmt.Printf("%d applied, %d parked\n", done.Applied, done.Parked)
	show(ctx, store.Pool(), `select account, cents from wallets.wallets`)

	skipped, err := projections.ListSkipped(ctx, store, "wallets")
	must(err)
	fmt.Println(skipped[0].Event == mistake.ID, skipped[0].Reason)

	// Output:
	// 1 applied, 0 parked
	// ann 500
	// true entered by mistake
}

// A program that is wrong is not to park the log: the bound stops it.
func ExampleWithParked() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Withdrawn{Cents: 300})
	record(ctx, store, "bob", Withdrawn{Cents: 200})

	err := projections.New(store, careful, projections.WithParked(1)).Run(ctx)
	fmt.Println(errors.Is(err, projections.ErrTooManyParked))

	// Output:
	// true
}

// With LogOrder, which is the default, nothing is parked: what cannot be applied stops the
// projector, and nothing of its batch is written.
func ExampleEventError() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Withdrawn{Cents: 300})
	def := careful
	def.Order = projections.LogOrder

	err := projections.New(store, def).Rebuild(ctx)
	if event, is := errors.AsType[*projections.EventError](err); is {
		fmt.Println(event.Event.Stream, event.Event.Version, event.Err)
	}

	// Output:
	// account/ann 1 less than nothing
}
