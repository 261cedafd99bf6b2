package aggregates

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/wait"
)

// Decide loads the aggregate, lets decide look at it and appends the events that it
// returns, if no other event came in between; it returns the state after them. An
// aggregate without events is decided on in its initial state. No events: nothing
// is appended.
//
// When another event came in between, it reads what came and decides again, in turn
// with other callers that this happened to, and as often as [WithAttempts] says; then
// it returns the [es.ErrConflict].
// So decide may run several times and must do nothing but decide. What it changes in
// the state's maps and slices is not seen by its next attempt, but is by the state
// that Decide returns: change nothing, as package aggregatetest checks. An error
// of decide is returned as it is, and nothing is appended.
//
// The events get the metadata that ctx carries, where they have none of their own:
// see [es.WithMetadata].
//
// After an error of the connection it is not known whether the events were recorded.
// Decide again: a decision that looks at the state sees what it has done before.
func (r *Repository[S, E]) Decide(ctx context.Context, id string, decide func(S) ([]E, error)) (State[S], error) {
	if r.invalid != nil {
		return State[S]{}, r.invalid
	}
	past := r.past(id)
	pause := wait.Backoff{First: firstPause, Last: lastPause, Random: true}
	giveBack := func() {}
	defer func() { giveBack() }()
	for attempt := 1; ; attempt++ {
		state, err := past.now(ctx)
		if err != nil {
			return State[S]{}, err
		}
		events, err := decide(state.Value)
		if err != nil {
			return State[S]{}, err
		}
		if len(events) == 0 {
			return state, nil
		}
		state, err = r.append(ctx, state, events)
		if err == nil {
			return state, nil
		}
		err = wrap("decide", err)
		if !errors.Is(err, es.ErrConflict) && !errors.Is(err, es.ErrRetry) || r.options.attempts == 1 {
			return State[S]{}, err
		}
		if attempt == r.options.attempts {
			return State[S]{}, fmt.Errorf("%w (gave up after %d attempts)", err, attempt)
		}
		var ended error
		if attempt == 1 {
			giveBack, ended = r.turns.take(ctx, id)
		} else {
			ended = pause.Wait(ctx)
		}
		if ended != nil {
			return State[S]{}, fmt.Errorf("%w (%w)", err, ended)
		}
	}
}

// The pause before a decision is made again is random, so that those who met once do
// not meet again, below a bound that doubles.
const (
	firstPause = 2 * time.Millisecond
	lastPause  = 100 * time.Millisecond
)

// append records events after the state that they were decided on.
func (r *Repository[S, E]) append(ctx context.Context, state State[S], events []E) (State[S], error) {
	metadata, stream := es.MetadataFrom(ctx), r.decider.stream(state.ID)
	data := make([]es.EventData, len(events))
	for i, event := range events {
		encoded, err := r.decider.Codec.Encode(ctx, stream, event)
		if err != nil {
			return state, err
		}
		encoded.Metadata = encoded.Metadata.Or(metadata)
		data[i] = encoded
	}
	recorded, err := r.store.Append(ctx, stream, es.Exactly(state.Version), data...)
	if err != nil {
		return state, err
	}
	for i, event := range events {
		state = state.at(recorded[i].Recorded)
		state.Value = r.decider.Evolve(state.Value, event)
	}
	return state, nil
}
