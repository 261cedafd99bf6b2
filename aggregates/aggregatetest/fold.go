package aggregatetest

import (
	"testing"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
)

// fold returns the state that events lead to, twice, made apart from each other. It
// fails the test when they differ, or when Evolve changes the state that it was given:
// a history keeps the states before.
func fold[S any, E es.Event](t testing.TB, d aggregates.Decider[S, E], events []E) (state, again S) {
	t.Helper()
	state, again = initial(d), initial(d)
	pure := same(t, again, state)
	for i, event := range events {
		next := d.Evolve(state, event)
		if pure {
			if difference := diff(again, state); difference != "" {
				t.Errorf("aggregatetest: Evolve changed the state that it was given with event %d, %s: copy a map or a slice before changing it (-before +after):\n%s", i+1, event.EventType(), difference)
				pure = false
			}
		}
		state, again = next, d.Evolve(again, event)
		pure = pure && same(t, again, state)
	}
	return state, again
}

func same[S any](t testing.TB, again, state S) bool {
	t.Helper()
	difference := diff(again, state)
	if difference != "" {
		t.Errorf("aggregatetest: folding the same events twice gives two states: Evolve and Initial must depend on nothing but the state and the event (-first +second):\n%s", difference)
	}
	return difference == ""
}

func initial[S any, E es.Event](d aggregates.Decider[S, E]) (state S) {
	if d.Initial != nil {
		state = d.Initial()
	}
	return state
}
