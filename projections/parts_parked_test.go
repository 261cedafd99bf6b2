package projections_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// A rebuild in parts reads an event several times, and what it fails with may be gone by then:
// what is parked for a row is not applied to it as well.
func TestRows_that_are_folded_in_parts_lack_what_is_parked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def, _ := w.wide()
	if err := projections.New(w.store, def).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := tableOf(w, "totals.totals", byBucket)

	var mu sync.Mutex
	failed := map[string]bool{}
	flaky := def
	flaky.Name, flaky.Order, flaky.Apply = "flaky", projections.Commuting, nil
	flaky.TryApply = func(row *Total, e Event, r es.Recorded) error {
		mu.Lock()
		defer mu.Unlock()
		once := fmt.Sprint(r.Version, row.Bucket)
		if r.Version%10 == 4 && row.Bucket[len(row.Bucket)-1] == '0' && !failed[once] {
			failed[once] = true
			return errUnlucky
		}
		def.Apply(row, e, r)
		return nil
	}
	p := projections.New(w.store, flaky, projections.WithMemory(20_000))
	if err := p.Rebuild(t.Context(), projections.WithChunk(7)); err != nil {
		t.Fatal(err)
	}
	status, err := p.Status(t.Context())
	if err != nil || status.Parked < 50 {
		t.Fatalf("%+v, %v", status, err)
	}
	wantParked(t, p, w.store, status.Parked)
	until(t, "nothing fails any more", func() bool { // an event that comes to a row only now fails once
		done, err := p.RetryAll(t.Context())
		return err == nil && done.Parked == 0
	})
	wantParked(t, p, w.store, 0)
	same(t, want, tableOf(w, "flaky.totals", byBucket))
}

// What is lost from the log between two readings of it is noticed when all is written.
func TestRebuild_in_parts_notices_what_the_log_has_lost_meanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def, last := w.wide()
	var passes atomic.Int64
	lossy := def
	lossy.Keys = func(e Event, r es.Recorded) []string {
		if r.Version == 1 && passes.Add(1) == 2 {
			w.exec(fmt.Sprintf(`begin; set local session_replication_role = replica; delete from asof.events where position = %d; commit`, last))
		}
		return def.Keys(e, r)
	}
	p := projections.New(w.store, lossy, projections.WithMemory(20_000))
	if err := p.Rebuild(t.Context(), projections.WithChunk(7)); !contains(err, "was read and is not in the log") {
		t.Errorf("got %v", err)
	}
	if n := w.number(`select count(*) from asof.builds where status = 'live'`); n != 0 {
		t.Error("it is live")
	}
}
