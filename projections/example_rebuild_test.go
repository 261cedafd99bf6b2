package projections_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// Rebuilding the version that is live repairs it, and says how many rows differed.
func ExampleProjector_Rebuild() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Deposited{Cents: 500})
	record(ctx, store, "bob", Deposited{Cents: 200})
	p := projections.New(store, wallets)
	must(p.Rebuild(ctx))

	_, err := store.Pool().Exec(ctx, `update wallets.wallets set cents = 0 where account = 'ann'`)
	must(err)
	must(p.Rebuild(ctx, projections.WithProgress(func(p projections.Progress) {
		if p.Phase == "live" {
			fmt.Printf("%d of %d events, %d rows differed\n", p.Done, p.Total, p.Differing)
		}
	})))
	show(ctx, store.Pool(), `select account, cents from wallets.wallets order by account`)

	// Output:
	// 2 of 2 events, 1 rows differed
	// ann 500
	// bob 200
}

// A program with a higher Version builds the new table beside the old one. A program with
// the old version stops then, until somebody rolls back.
func ExampleProjector_Rollback() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Deposited{Cents: 500})
	before := projections.New(store, wallets)
	must(before.Rebuild(ctx))

	next := wallets
	next.Version = 2
	next.Table = `create table wallets (account text primary key, cents bigint not null check (cents >= 0))`
	must(projections.New(store, next).Rebuild(ctx)) // Run does so by itself
	status, err := before.Status(ctx)
	must(err)
	fmt.Printf("version %d is live, %d is kept\n", status.Version, status.Retired)
	fmt.Println(errors.Is(before.Run(ctx), projections.ErrNewerVersion))

	must(before.Rollback(ctx))
	status, err = before.Status(ctx)
	must(err)
	fmt.Printf("version %d is live, %d is kept\n", status.Version, status.Retired)

	// Output:
	// version 2 is live, 1 is kept
	// true
	// version 1 is live, 2 is kept
}

// A read model as it was after an event: only this transaction sees it.
func ExampleProjector_AsOf() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	then := record(ctx, store, "ann", Deposited{Cents: 500})
	record(ctx, store, "ann", Withdrawn{Cents: 120})
	p := projections.New(store, wallets) // nothing needs to be built

	must(p.AsOf(ctx, es.AtPosition(then.Position), func(ctx context.Context, tx pgx.Tx) error {
		show(ctx, tx, `select account, cents from wallets`) // the name alone
		return nil
	}))

	// Output:
	// ann 500
}

// A read model as it was at a time. The moment is final: nothing can be recorded before it
// any more.
func ExampleProjector_AsOf_time() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	then := record(ctx, store, "ann", Deposited{Cents: 500})
	record(ctx, store, "ann", Withdrawn{Cents: 120})
	p := projections.New(store, wallets)

	must(p.AsOf(ctx, es.AtTime(then.RecordedAt), func(ctx context.Context, tx pgx.Tx) error {
		show(ctx, tx, `select account, cents from wallets`)
		return nil
	}))

	// Output:
	// ann 500
}

// All that stands of a projection in the database. What is kept for a rollback can be
// dropped.
func ExampleBuilds() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Deposited{Cents: 500})
	p := projections.New(store, wallets)
	must(p.Rebuild(ctx))
	must(p.Rebuild(ctx))

	list, err := projections.Builds(ctx, store, "wallets")
	must(err)
	for _, b := range list {
		fmt.Println(b, b.Kind, b.Position, b.Tables[0].Name, b.Tables[0].Rows)
	}
	dropped, err := projections.DropBuild(ctx, store, "wallets", list[1].ID)
	must(err)
	fmt.Println("dropped", dropped)

	// Output:
	// build 2 of wallets (version 1, live) log 1 wallets 1
	// build 1 of wallets (version 1, kept) log 1 wallets 1
	// dropped build 1 of wallets (version 1, kept)
}

// What was applied is compared with the log, by the books; nothing is changed.
func ExampleProjector_Verify() {
	t := &example{}
	defer t.End()
	ctx, store := t.Context(), t.store()
	record(ctx, store, "ann", Deposited{Cents: 500})
	p := projections.New(store, wallets)
	must(p.Rebuild(ctx))

	list, err := p.Verify(ctx)
	must(err)
	for _, v := range list {
		fmt.Println(v.Build, v.Categories, v.Differences())
	}

	// Output:
	// build 1 of wallets (version 1, live) [{account 1 1 true}] []
}
