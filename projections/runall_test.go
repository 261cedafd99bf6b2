package projections_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// One that meets an event which it cannot apply, and one whose program is older than what
// is live, leave their neighbours running.
func TestRunAll_goes_on_with_the_others(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	newer := totals()
	newer.Version = 2
	if err := projections.New(w.store, newer).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	poisoned := balances()
	poisoned.Name = "poisoned"
	poisoned.Table = `create table balances (account text primary key, owner text not null, cents bigint not null check (cents < 5), updated_at timestamptz not null)`
	fine := projections.New(w.store, balances())
	bad, old := projections.New(w.store, poisoned), projections.New(w.store, totals())
	ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- projections.RunAll(ctx, bad, old, fine) }()
	if err := fine.WaitFor(ctx, w.append("a", Opened{"ann"}, Deposited{7})); err != nil {
		t.Fatal(err)
	}
	until(t, "both say why", func() bool {
		why, err := bad.Status(ctx)
		wait, other := old.Status(ctx)
		return err == nil && other == nil && why.Failure != "" && wait.Failure != ""
	})
	for n := range 50 { // long after the others have stopped
		if err := fine.WaitFor(ctx, w.append("b", Deposited{int64(n)})); err != nil {
			t.Fatal(err)
		}
	}
	w.wantBalances("balances.balances")
	select {
	case err := <-ended:
		t.Fatalf("it has ended: %v", err)
	default:
	}
	until(t, "a rollback", func() bool {
		w.exec(`update asof.builds set version = 1, fingerprint = (select fingerprint from asof.builds where name = 'totals' limit 1) where name = 'totals'`)
		s, err := old.Status(ctx)
		return err == nil && s.Failure == "" && s.Lag == 0
	})
	stop()
	var event *projections.EventError
	if err := <-ended; !errors.As(err, &event) || event.Event.Stream != account("a") || errors.Is(err, projections.ErrNewerVersion) {
		t.Errorf("%v", err)
	}
}

func TestRunAll_ends_when_all_have(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.store.Append(t.Context(), account("x"), es.NoStream, es.EventData{ID: es.NewID(), Type: "account.opened", Data: []byte(`[]`)}); err != nil {
		t.Fatal(err)
	}
	err := projections.RunAll(t.Context(), projections.New(w.store, balances()), projections.New(w.store, totals()))
	if _, named := errors.AsType[*projections.EventError](err); !named {
		t.Errorf("%v", err)
	}
}
