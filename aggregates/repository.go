package aggregates

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"reflect"

	"github.com/asof-dev/asof/es"
)

// Repository loads aggregates of one kind and records what they decide. It keeps no
// states in memory and is safe for concurrent use; callers that decide on the same
// aggregates do best to share one.
type Repository[S any, E es.Event] struct {
	store   es.Store
	decider Decider[S, E]
	options options
	invalid error  // of what New was given: what every method returns
	values  bool   // S is of values alone: a copy shares nothing with it
	turns   *turns // among those who decide on one aggregate and met a conflict
}

// New returns the repository of the decider's aggregates in a store. A decider without
// Evolve or Codec, a category that no store accepts, no store, and an option with an
// impossible value are [es.ErrInvalid], which the first call returns, and every other.
func New[S any, E es.Event](store es.Store, d Decider[S, E], options ...Option) *Repository[S, E] {
	o := defaults()
	for _, option := range options {
		option(&o)
	}
	r := &Repository[S, E]{store: store, decider: d, options: o, values: ofValues(reflect.TypeFor[S]()), turns: &turns{}}
	r.invalid = cmp.Or(d.complete(), o.possible())
	if r.invalid == nil && store == nil {
		r.invalid = fmt.Errorf("aggregates: %w: New without a store", es.ErrInvalid)
	}
	return r
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
	in := *r // everything is as it was outside, but:
	in.store = tx
	in.options.attempts = 1 // so no turn is taken either, which would be held until the transaction ends
	return &in
}

// Load returns what the aggregate is now. One without events gives
// [es.ErrStreamNotFound]; an event that the codec does not know [es.ErrUnknownType],
// and one that only a newer program can read [es.ErrNewerSchema].
func (r *Repository[S, E]) Load(ctx context.Context, id string) (State[S], error) {
	if r.invalid != nil {
		return State[S]{}, r.invalid
	}
	begin := r.decider.initial(id)
	state, err := r.fold(ctx, begin, r.after(ctx, begin), nil, nil)
	if err != nil {
		return State[S]{}, wrap("load", err)
	}
	return state, nil
}

// History yields the aggregate's events in order, each with the state after it. An
// error ends it; the errors are those of [Repository.Load].
func (r *Repository[S, E]) History(ctx context.Context, id string) iter.Seq2[Step[S, E], error] {
	return func(yield func(Step[S, E], error) bool) {
		if r.invalid != nil {
			yield(Step[S, E]{}, r.invalid)
			return
		}
		begin := r.decider.initial(id)
		_, err := r.fold(ctx, begin, r.after(ctx, begin), nil, func(s Step[S, E]) bool { return yield(s, nil) })
		if err != nil {
			yield(Step[S, E]{}, wrap("read the history", err))
		}
	}
}

// wrap adds no stream: the errors beneath name it.
func wrap(what string, err error) error { return fmt.Errorf("aggregates: %s: %w", what, err) }
