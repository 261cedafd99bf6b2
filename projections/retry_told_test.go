package projections_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/asof-dev/asof/projections"
)

// Somebody else retries the event after it was found, and nothing waits behind it: who asked
// for it is told so, as where something does.
func TestRetry_of_an_event_that_somebody_else_has_retried_is_told(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	w.append("a-1", Deposited{Cents: failsEverywhere})
	p := projections.New(w.store, poisonedBalances(mended))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	mended.Store(true)
	event := w.history()[0].ID
	tracer := &between{after: "or p.event_id = $2", do: func() {
		if done, err := p.RetryEvent(t.Context(), event); err != nil || done.Applied != 1 {
			t.Errorf("the other: %+v, %v", done, err)
		}
	}}
	done, err := projections.New(w.otherPool(tracer), poisonedBalances(mended)).RetryEvent(t.Context(), event)
	if !errors.Is(err, projections.ErrNotParked) || done != (projections.Retried{}) {
		t.Errorf("%+v, %v", done, err)
	}
}
