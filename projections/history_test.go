package projections_test

import (
	"context"
	"errors"
	"fmt"
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

// stepsOf makes histories of events.
func stepsOf(event *rapid.Generator[es.EventData]) *rapid.Generator[[]step] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{account: rapid.IntRange(0, 4).Draw(t, "account"), events: rapid.SliceOfN(event, 1, 4).Draw(t, "events")}
	}), 1, 12)
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
