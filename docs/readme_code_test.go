package docs_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

type Moved struct{ Cents int64 } // into the account; out of it when negative

func (Moved) EventType() string { return "account.moved" } // stored for ever

var Accounts = aggregates.Decider[int64, Moved]{
	Category: "account",
	Evolve:   func(balance int64, e Moved) int64 { return balance + e.Cents },
	Codec:    es.JSON[Moved](Moved{}),
}

// Move decides; it sees no database, no clock and no context.
func Move(cents int64) func(balance int64) ([]Moved, error) {
	return func(balance int64) ([]Moved, error) {
		if balance+cents < 0 {
			return nil, errors.New("not enough money")
		}
		return []Moved{{cents}}, nil
	}
}

func payAndLookBack(ctx context.Context, pool *pgxpool.Pool) (now, then int64, err error) {
	accounts := aggregates.New(pgstore.New(pool), Accounts)
	earned, err := accounts.Decide(ctx, "ann", Move(100_00)) // load, decide, append; again when another was faster
	if err != nil {
		return 0, 0, err
	}
	spent, err := accounts.Decide(ctx, "ann", Move(-30_00))
	if err != nil {
		return 0, 0, err
	}
	past, err := accounts.LoadAsOf(ctx, "ann", es.AtTime(earned.RecordedAt))
	return spent.Value, past.Value, err // 70_00, 100_00
}

func TestReadme_code_runs(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t)
	now, then, err := payAndLookBack(t.Context(), store.Pool())
	if err != nil || now != 70_00 || then != 100_00 {
		t.Errorf("got %d now and %d then, %v", now, then, err)
	}
	if _, err := aggregates.New(store, Accounts).Decide(t.Context(), "ann", Move(-70_01)); err == nil {
		t.Error("more was spent than there was")
	}
}
