package inbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/asof-dev/asof/es/inbox"
)

func TestPrune_forgets_what_is_older_than_the_retention(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`insert into asof.inbox select c, n::text, clock_timestamp() - interval '2 days' from generate_series(1, 2500) n, unnest(array['reserve', 'bill']) c`)
	box := inbox.New(w.store, "reserve", inbox.WithRetention(24*time.Hour))
	if _, err := box.Once(t.Context(), "new", reserve); err != nil {
		t.Fatal(err)
	}
	if n, err := box.Prune(t.Context()); err != nil || n != 2500 {
		t.Fatalf("%d pruned, %v", n, err)
	}
	if n := w.number(`select count(*) from asof.inbox where consumer = 'bill'`); n != 2500 {
		t.Fatalf("%d of another consumer are left", n)
	}
	for id, want := range map[string]bool{"new": false, "17": true} { // the price of a retention
		if fresh, err := box.Once(t.Context(), id, reserve); err != nil || fresh != want {
			t.Errorf("%s: %v, %v", id, fresh, err)
		}
	}
	if n, err := inbox.New(w.store, "bill", inbox.WithRetention(0)).Prune(t.Context()); err != nil || n != 0 {
		t.Fatalf("%d pruned of what is kept for ever, %v", n, err)
	}
	if n, err := inbox.New(w.store, "bill").Prune(t.Context()); err != nil || n != 0 {
		t.Fatalf("%d pruned within thirty days, %v", n, err)
	}
}

func TestRun_prunes_and_ends_with_its_context(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`insert into asof.inbox values ('reserve', '1', clock_timestamp() - interval '2 days')`)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- inbox.New(w.store, "reserve", inbox.WithRetention(time.Hour)).Run(ctx) }()
	for deadline := within(t, 20*time.Second); w.number(`select count(*) from asof.inbox`) > 0; {
		if deadline.Err() != nil {
			t.Fatal("never pruned")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
