package aggregatetest

import (
	"slices"
	"testing"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
)

// Scenario is an aggregate with a history. It does not change: one may begin
// several decisions.
type Scenario[S any, E es.Event] struct {
	t       testing.TB
	decider aggregates.Decider[S, E]
	given   []E
}

// For begins a scenario with an aggregate that has no events. Its failures are
// reported to t.
func For[S any, E es.Event](t testing.TB, d aggregates.Decider[S, E]) Scenario[S, E] {
	return Scenario[S, E]{t: t, decider: d}
}

// Given returns the scenario with more events behind it.
func (s Scenario[S, E]) Given(events ...E) Scenario[S, E] {
	s.given = append(slices.Clip(s.given), events...)
	return s
}

// When decides on the state that the given events lead to. Say with Then, Fails or
// ThenState what is to come of it; a scenario that says nothing fails.
func (s Scenario[S, E]) When(decide func(S) ([]E, error)) *Outcome[S, E] {
	s.t.Helper()
	given := survive(s.t, s.decider, s.given)
	state, before := fold(s.t, s.decider, given)
	events, err := decide(state)
	if difference := diff(before, state); difference != "" {
		s.t.Errorf("aggregatetest: the decision changed the state that it looked at: return events, and let Evolve change it (-before +after):\n%s", difference)
	}
	o := &Outcome[S, E]{t: s.t, decider: s.decider, given: given, events: events, err: err}
	s.t.Cleanup(o.mustBeSaid)
	return o
}

// ThenState checks the state that the given events lead to.
func (s Scenario[S, E]) ThenState(want S) {
	s.t.Helper()
	got, _ := fold(s.t, s.decider, survive(s.t, s.decider, s.given))
	if difference := diff(want, got); difference != "" {
		s.t.Errorf("aggregatetest: the given events lead to another state (-want +got):\n%s", difference)
	}
}
