package aggregatetest

import (
	"errors"
	"slices"
	"testing"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
)

// Outcome is what a decision led to.
type Outcome[S any, E es.Event] struct {
	t       testing.TB
	decider aggregates.Decider[S, E]
	given   []E
	events  []E
	err     error
	said    bool
}

// Then checks that just these events were decided, in this order; without events,
// that there was nothing to do.
func (o *Outcome[S, E]) Then(want ...E) *Outcome[S, E] {
	o.t.Helper()
	if !o.succeeded() {
		return o
	}
	if difference := diff(want, o.events); difference != "" {
		o.t.Errorf("aggregatetest: other events were decided (-want +got):\n%s", difference)
	}
	o.decided()
	return o
}

// ThenState checks the state after the decided events.
func (o *Outcome[S, E]) ThenState(want S) *Outcome[S, E] {
	o.t.Helper()
	if !o.succeeded() {
		return o
	}
	events := o.decided()
	got, _ := fold(o.t, o.decider, append(slices.Clip(o.given), events...))
	if difference := diff(want, got); difference != "" {
		o.t.Errorf("aggregatetest: the decided events lead to another state (-want +got):\n%s", difference)
	}
	return o
}

// Fails checks that the decision failed with an error that matches want, as
// errors.Is tells, and decided no events.
func (o *Outcome[S, E]) Fails(want error) {
	o.t.Helper()
	o.said = true
	switch {
	case want == nil:
		o.t.Error("aggregatetest: Fails(nil): name the error, or use Then")
	case o.err == nil:
		o.t.Errorf("aggregatetest: the decision did not fail with %q, but decided:\n%s", want, list(o.events))
	case !errors.Is(o.err, want):
		o.t.Errorf("aggregatetest: the decision failed with another error:\n want: %v\n  got: %v", want, o.err)
	case len(o.events) > 0:
		o.t.Errorf("aggregatetest: the decision failed as it should, but returned events too, which would be lost:\n%s", list(o.events))
	}
}

// decided returns the decided events as they would be read back. They are one append,
// and so have its limits too.
func (o *Outcome[S, E]) decided() []E {
	o.t.Helper()
	back := survive(o.t, o.decider, o.events)
	if len(o.events) > 0 {
		data := make([]es.EventData, len(o.events))
		for i, event := range o.events {
			data[i], _ = o.decider.Codec.Encode(o.t.Context(), tested(o.decider), event) // it did before
		}
		if err := es.ValidateAppend(tested(o.decider), es.Any, data); err != nil {
			o.t.Errorf("aggregatetest: the decision would be refused by a store: %v", err)
		}
	}
	return back
}

func (o *Outcome[S, E]) succeeded() bool {
	o.t.Helper()
	o.said = true
	if o.err != nil {
		o.t.Errorf("aggregatetest: the decision failed: %v", o.err)
	}
	return o.err == nil
}

func (o *Outcome[S, E]) mustBeSaid() {
	if !o.said {
		o.t.Error("aggregatetest: When without Then, ThenState or Fails proves nothing")
	}
}
