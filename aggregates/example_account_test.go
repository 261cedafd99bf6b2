package aggregates_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/aggregates/aggregatetest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/memstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

func Example() {
	ctx := context.Background()
	accounts := aggregates.New(memstore.New(), decider)

	state, _ := accounts.Decide(ctx, "a-1", open("ann"))
	state, _ = accounts.Decide(ctx, state.ID, deposit(10_00, 5_00))
	fmt.Println(state.Value.Balance, "cents at version", state.Version)

	_, err := accounts.Decide(ctx, "a-1", withdraw(20_00))
	fmt.Println(err)

	_, _ = accounts.Decide(ctx, "a-1", withdraw(12_00))
	now, _ := accounts.Load(ctx, "a-1")
	then, _ := accounts.LoadAsOf(ctx, "a-1", es.AtTime(state.RecordedAt))
	fmt.Println(now.Value.Balance, "now,", then.Value.Balance, "then")

	// Output:
	// 1500 cents at version 3
	// account: insufficient funds
	// 300 now, 1500 then
}

func ExampleRepository_History() {
	ctx := context.Background()
	accounts := aggregates.New(memstore.New(), decider)
	_, _ = accounts.Decide(ctx, "a-1", open("ann"))
	_, _ = accounts.Decide(ctx, "a-1", deposit(10_00))
	_, _ = accounts.Decide(ctx, "a-1", withdraw(4_00))

	for step, err := range accounts.History(ctx, "a-1") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d %-17s %+v → %+v\n", step.Recorded.Version, step.Recorded.Type, step.Event, step.State.Value)
	}

	// Output:
	// 1 account.opened    {Owner:ann} → {Open:true Balance:0}
	// 2 account.deposited {Cents:1000} → {Open:true Balance:1000}
	// 3 account.withdrawn {Cents:400} → {Open:true Balance:600}
}

// TestAccount_from_its_first_decision_to_its_past is a service's whole life: decisions on Postgres, a read model that
// follows, is rebuilt and is read as of a moment.
func TestAccount_from_its_first_decision_to_its_past(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := pgstoretest.New(t)
	pool := store.Pool()

	accounts := aggregates.New(store, decider)
	_, err := accounts.Decide(ctx, "a-1", open("ann"))
	must(t, err)
	then, err := accounts.Decide(ctx, "a-1", deposit(100_00))
	must(t, err)
	_, err = accounts.Decide(ctx, "a-1", withdraw(50_00))
	must(t, err)
	if _, err := accounts.Decide(ctx, "a-1", withdraw(50_01)); !errors.Is(err, errInsufficientFunds) {
		t.Errorf("withdrew what was not there: %v", err)
	}

	model := projections.New(store, balances)
	must(t, model.Rebuild(ctx))
	cents := func(ctx context.Context, q interface {
		QueryRow(context.Context, string, ...any) pgx.Row
	}, table string) (n int64) {
		must(t, q.QueryRow(ctx, `select cents from `+table+` where account = 'a-1'`).Scan(&n))
		return n
	}
	now, err := accounts.Load(ctx, "a-1")
	must(t, err)
	if got := cents(ctx, pool, "balances.balances"); got != 50_00 || got != now.Value.Balance {
		t.Errorf("the read model says %d, the aggregate %d", got, now.Value.Balance)
	}
	must(t, model.AsOf(ctx, es.AtTime(then.RecordedAt), func(ctx context.Context, tx pgx.Tx) error {
		past, err := accounts.LoadAsOf(ctx, "a-1", es.AtTime(then.RecordedAt))
		if got := cents(ctx, tx, "balances"); got != 100_00 || err != nil || got != past.Value.Balance {
			t.Errorf("as of %s the read model says %d, the aggregate %d, %v", then.RecordedAt, got, past.Value.Balance, err)
		}
		return nil
	}))
}

func TestDecisions_of_an_account(t *testing.T) {
	t.Parallel()
	account := aggregatetest.For(t, decider)
	account.When(open("ann")).Then(Opened{"ann"}).ThenState(Account{Open: true})
	account.When(deposit(1)).Fails(errNotOpen)
	opened := account.Given(Opened{"ann"}, Deposited{10})
	opened.When(open("bob")).Then()
	opened.When(withdraw(10)).Then(Withdrawn{10}).ThenState(Account{Open: true})
	opened.When(withdraw(20)).Fails(errInsufficientFunds)
	opened.ThenState(Account{Open: true, Balance: 10})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
