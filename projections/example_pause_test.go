package projections_test

import (
	"fmt"

	"github.com/asof-dev/asof/projections"
)

// When Pause returns, nothing is applied any more, whoever runs the projection.
func ExamplePause() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	p := projections.New(store, wallets)
	start(t, p)
	must(p.WaitFor(ctx, record(ctx, store, "ann", Deposited{Cents: 500}).Position))

	must(projections.Pause(ctx, store, "wallets", "the books are closed"))
	last := record(ctx, store, "ann", Withdrawn{Cents: 120})
	status, err := p.Status(ctx)
	must(err)
	fmt.Printf("paused: %s; lag %d\n", status.Paused.Reason, status.Lag)
	show(ctx, store.Pool(), `select account, cents from wallets.wallets`)

	was, err := projections.Resume(ctx, store, "wallets")
	must(err)
	must(p.WaitFor(ctx, last.Position))
	fmt.Println("was paused:", was)
	show(ctx, store.Pool(), `select account, cents from wallets.wallets`)

	// Output:
	// paused: the books are closed; lag 1
	// ann 500
	// was paused: true
	// ann 380
}

// Rewind takes all readers back to a position, and pauses the projection there.
func ExampleProjector_Rewind() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	then := record(ctx, store, "ann", Deposited{Cents: 500})
	last := record(ctx, store, "ann", Withdrawn{Cents: 120})
	p := projections.New(store, wallets)
	must(p.Rebuild(ctx))

	must(p.Rewind(ctx, then.Position))
	status, err := p.Status(ctx)
	must(err)
	fmt.Printf("position %d, %s\n", status.Position, status.Paused.Reason)
	show(ctx, store.Pool(), `select account, cents from wallets.wallets`)

	_, err = projections.Resume(ctx, store, "wallets")
	must(err)
	start(t, p)
	must(p.WaitFor(ctx, last.Position))
	show(ctx, store.Pool(), `select account, cents from wallets.wallets`)

	// Output:
	// position 1, rewound to position 1
	// ann 500
	// ann 380
}
