package aggregates

import (
	"context"
	"iter"

	"github.com/asof-dev/asof/es"
)

// fold adds events to a state, one after the other, and shows each, where somebody looks,
// with the state that it leads to: all that reads an aggregate goes through this loop. It ends
// before the first event that lies beyond, which is not decoded (nil: none does), and when
// nobody wants to see more. With an error the state is that before what failed.
func (r *Repository[S, E]) fold(ctx context.Context, state State[S], events iter.Seq2[es.RecordedEvent, error], beyond func(es.Recorded) bool, see func(Step[S, E]) bool) (State[S], error) {
	if contracts, ok := r.store.(es.Contracts); ok {
		ctx = es.WithContracts(ctx, contracts)
	}
	var decoded []E
	for recorded, err := range events {
		if err != nil {
			return state, err
		}
		if beyond != nil && beyond(recorded.Recorded) {
			break
		}
		if decoded, err = r.decider.Codec.Decode(ctx, decoded[:0], recorded); err != nil {
			return state, err
		}
		state = state.at(recorded.Recorded) // of no event, too: nobody reads it any more, but the stream has it
		for i, event := range decoded {
			state.Value = r.decider.Evolve(state.Value, event)
			if see != nil && !see(Step[S, E]{Event: event, Recorded: recorded.PartOf(i, len(decoded)), State: state}) {
				return state, nil
			}
		}
	}
	return state, nil
}

// at is a state that an event has led to, but for its value.
func (s State[S]) at(r es.Recorded) State[S] {
	s.Version, s.Position, s.RecordedAt = r.Version, r.Position, r.RecordedAt
	return s
}

// after reads the events of a state's stream that came after it.
func (r *Repository[S, E]) after(ctx context.Context, state State[S]) iter.Seq2[es.RecordedEvent, error] {
	return r.store.ReadStream(ctx, r.decider.stream(state.ID), state.Version+1)
}
