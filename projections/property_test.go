package projections_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// step is an append of a random history.
type step struct {
	account int
	events  []es.EventData
}

// GoString is how rapid shows it.
func (s step) GoString() string {
	text := name(s.account)
	for _, e := range s.events {
		text += fmt.Sprintf(" %s%s", e.Type[len("account"):], e.Data)
	}
	return text
}

func steps(w *world) *rapid.Generator[[]step] {
	event := rapid.Custom(func(t *rapid.T) es.EventData {
		cents := rapid.Int64Range(-1<<40, 1<<40).Draw(t, "cents")
		var data es.EventData
		var err error
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			return es.EventData{ID: es.NewID(), Type: "account.audited", Data: []byte(`{}`)}
		case 1, 2:
			data, err = w.codec.Encode(Opened{Owner: rapid.StringMatching(`[a-zé"\\']{0,6}`).Draw(t, "owner")})
		case 3, 4, 5:
			data, err = w.codec.Encode(Withdrawn{Cents: cents})
		default:
			data, err = w.codec.Encode(Deposited{Cents: cents})
		}
		if err != nil {
			t.Fatal(err)
		}
		return data
	})
	return stepsOf(event)
}

// stepsOf makes histories of events.
func stepsOf(event *rapid.Generator[es.EventData]) *rapid.Generator[[]step] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{account: rapid.IntRange(0, 4).Draw(t, "account"), events: rapid.SliceOfN(event, 1, 4).Draw(t, "events")}
	}), 1, 12)
}

// Whatever the history: the live tables, a rebuild and the read as of the end are its
// fold, and the read as of any moment is the fold of the prefix.
func TestAny_history_live_rebuilt_and_as_of_are_its_fold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var round atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		n := round.Add(1) // a category and projections of its own, in one log
		category := fmt.Sprintf("account%d", n)
		def, sums := balances(), totals()
		def.Name, def.Categories = fmt.Sprintf("balances%d", n), []string{category}
		sums.Name, sums.Categories = fmt.Sprintf("totals%d", n), []string{category}
		small := projections.WithBatch(rapid.IntRange(1, 9).Draw(t, "batch"))
		memory := projections.WithMemory(rapid.SampledFrom([]int{1, 1000, 8 * 700, 1 << 20}).Draw(t, "bytes in memory"))
		chunk := projections.WithChunk(rapid.SampledFrom([]int{0, 1, 5}).Draw(t, "chunk"))
		rows, buckets := projections.New(w.store, def, small, memory), projections.New(w.store, sums, small, memory)

		history := steps(w).Draw(t, "history")
		built := rapid.IntRange(0, len(history)).Draw(t, "appended before the first build")
		all := w.play(t, category, history[:built])
		for _, p := range []*projections.Projector{rows, buckets} {
			if err := p.Rebuild(w.Context(), chunk); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, w.play(t, category, history[built:])...)
		follow(t, all[len(all)-1].Position, rows, buckets)

		equal(t, "live balances", w.foldBalances(all), readTable(w, w.pool, def.Name+".balances", byAccount))
		equal(t, "live totals", w.foldTotals(all), readTable(w, w.pool, sums.Name+".totals", byBucket))
		for _, p := range []*projections.Projector{rows, buckets} {
			var last projections.Progress
			err := p.Rebuild(w.Context(), chunk, projections.WithProgress(func(p projections.Progress) { last = p }))
			if err != nil || !last.Compared || last.Differing != 0 {
				t.Fatalf("rebuild: %v, %+v", err, last)
			}
		}
		equal(t, "rebuilt balances", w.foldBalances(all), readTable(w, w.pool, def.Name+".balances", byAccount))
		equal(t, "rebuilt totals", w.foldTotals(all), readTable(w, w.pool, sums.Name+".totals", byBucket))

		moment := rapid.SampledFrom(all).Draw(t, "moment")
		for _, at := range []es.AsOf{es.AtPosition(moment.Position), es.AtTime(moment.RecordedAt), es.AtPosition(all[len(all)-1].Position)} {
			equal(t, "balances as of "+at.String(), w.foldBalances(prefix(all, at)), asOf(w, rows, at, "balances", byAccount))
			equal(t, "totals as of "+at.String(), w.foldTotals(prefix(all, at)), asOf(w, buckets, at, "totals", byBucket))
		}
	})
}

// play appends steps and returns what was recorded.
func (w *world) play(t *rapid.T, category string, steps []step) []es.RecordedEvent {
	var all []es.RecordedEvent
	for _, s := range steps {
		for i := range s.events {
			s.events[i].ID = es.NewID() // a shrunk history is appended again
		}
		recorded, err := w.store.Append(w.Context(), es.StreamID{Category: category, ID: name(s.account)}, es.Any, s.events...)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, recorded...)
	}
	return all
}

// follow runs projectors until they have applied a position, or parked what is there.
func follow(t *rapid.T, last es.Position, list ...*projections.Projector) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, p := range list {
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- p.Run(running) }()
		err := p.WaitFor(ctx, last)
		if _, parked := errors.AsType[*projections.ParkedError](err); parked {
			err = nil
		}
		stop()
		if ran := <-ended; err != nil || ran != nil {
			t.Fatalf("%v, Run: %v", err, ran)
		}
	}
}

func equal[R any](t *rapid.T, what string, want, got map[string]R) {
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s differ (-want +got):\n%s", what, diff)
	}
}
