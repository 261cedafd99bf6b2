package aggregates

import (
	"context"
	"iter"

	"github.com/asof-dev/asof/es"
)

// steps adds events to a state, one after the other, and yields each with the state
// that it leads to: all that reads an aggregate goes through this loop. It ends
// before the first event that lies beyond, which is not decoded; nil: none does.
func (d Decider[S, E]) steps(state State[S], events iter.Seq2[es.RecordedEvent, error], beyond func(es.Recorded) bool) iter.Seq2[Step[S, E], error] {
	return func(yield func(Step[S, E], error) bool) {
		for recorded, err := range events {
			if err != nil {
				yield(Step[S, E]{}, err)
				return
			}
			if beyond != nil && beyond(recorded.Recorded) {
				return
			}
			event, err := d.Codec.Decode(recorded)
			if err != nil {
				yield(Step[S, E]{}, err)
				return
			}
			state = d.evolve(state, event, recorded.Recorded)
			if !yield(Step[S, E]{Event: event, Recorded: recorded.Recorded, State: state}, nil) {
				return
			}
		}
	}
}

// fold returns the state after the last of the steps. With an error it is the state
// before what failed.
func (d Decider[S, E]) fold(state State[S], events iter.Seq2[es.RecordedEvent, error], beyond func(es.Recorded) bool) (State[S], error) {
	for step, err := range d.steps(state, events, beyond) {
		if err != nil {
			return state, err
		}
		state = step.State
	}
	return state, nil
}

// after reads the events of a state's stream that came after it.
func (r *Repository[S, E]) after(ctx context.Context, state State[S]) iter.Seq2[es.RecordedEvent, error] {
	return r.store.ReadStream(ctx, r.decider.stream(state.ID), state.Version+1)
}
