package aggregates

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/asof-dev/asof/es"
)

// Repository loads aggregates of one kind and records what they decide. It keeps no
// states in memory and is safe for concurrent use; callers that decide on the same
// aggregates do best to share one.
type Repository[S any, E es.Event] struct {
	store    es.Store
	decider  Decider[S, E]
	attempts int
	turns    turns
}

// New returns the repository of the decider's aggregates in a store. A decider
// without Evolve or Codec, or with a category that no store accepts, is a mistake in
// the program, and New panics.
func New[S any, E es.Event](store es.Store, d Decider[S, E], options ...Option) *Repository[S, E] {
	d.mustBeComplete()
	o := defaults()
	for _, option := range options {
		option(&o)
	}
	return &Repository[S, E]{store: store, decider: d, attempts: o.attempts}
}

// InTx returns the repository in a transaction of the caller's: what it decides is
// recorded if and when the transaction commits.
//
//	accounts.InTx(store.InTx(tx)).Decide(ctx, "a-1", account.Withdraw(50_00))
//
// There a decision is tried once. [es.ErrConflict] and [es.ErrRetry] go to the
// caller, who runs the whole transaction again: what it did before the conflict may
// rest on what has changed since.
func (r *Repository[S, E]) InTx(tx es.Store) *Repository[S, E] {
	return &Repository[S, E]{store: tx, decider: r.decider, attempts: 1}
}

// Load returns what the aggregate is now. One without events gives
// [es.ErrStreamNotFound]; an event that the codec does not know
// [es.ErrUnknownType].
func (r *Repository[S, E]) Load(ctx context.Context, id string) (State[S], error) {
	state := r.decider.initial(id)
	for step, err := range r.steps(ctx, state) {
		if err != nil {
			return State[S]{}, wrap("load", err)
		}
		state = step.State
	}
	return state, nil
}

// History yields the aggregate's events in order, each with the state after it. An
// error ends it; the errors are those of [Repository.Load].
func (r *Repository[S, E]) History(ctx context.Context, id string) iter.Seq2[Step[S, E], error] {
	return func(yield func(Step[S, E], error) bool) {
		for step, err := range r.steps(ctx, r.decider.initial(id)) {
			if err != nil {
				err = wrap("read the history", err)
			}
			if !yield(step, err) {
				return
			}
		}
	}
}

// steps yields the events after a state, each with the state that it leads to.
func (r *Repository[S, E]) steps(ctx context.Context, state State[S]) iter.Seq2[Step[S, E], error] {
	return func(yield func(Step[S, E], error) bool) {
		for recorded, err := range r.store.ReadStream(ctx, r.decider.stream(state.ID), state.Version+1) {
			if err != nil {
				yield(Step[S, E]{}, err)
				return
			}
			event, err := r.decider.Codec.Decode(recorded)
			if err != nil {
				yield(Step[S, E]{}, err)
				return
			}
			state = r.decider.evolve(state, event, recorded.Recorded)
			if !yield(Step[S, E]{Event: event, Recorded: recorded.Recorded, State: state}, nil) {
				return
			}
		}
	}
}

// loadOrInitial is Load for a decision: an aggregate without events is its initial
// state.
func (r *Repository[S, E]) loadOrInitial(ctx context.Context, id string) (State[S], error) {
	state, err := r.Load(ctx, id)
	if errors.Is(err, es.ErrStreamNotFound) {
		return r.decider.initial(id), nil
	}
	return state, err
}

// wrap adds no stream: the errors beneath name it.
func wrap(what string, err error) error { return fmt.Errorf("aggregates: %s: %w", what, err) }
