package projections_test

import (
	"testing"

	"github.com/asof-dev/asof/projections"
)

// What is folded and then refused is not done, and is counted once when it is.
func TestProgress_counts_once_what_is_applied_again(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	of := refusals()["a check"]
	def := of.refusing()
	def.Order = projections.OneStream
	p := projections.New(w.store, def)
	w.append("a-1", of.events()...)
	var last projections.Progress
	if err := p.Rebuild(t.Context(), projections.WithProgress(func(progress projections.Progress) { last = progress })); err != nil {
		t.Fatal(err)
	}
	wantParked(t, p, w.store, 1)
	if events := int64(len(of.events())); last.Done != events || last.Total != events {
		t.Errorf("%+v, want %d events", last, events)
	}
}
