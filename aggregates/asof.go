package aggregates

import (
	"context"
	"errors"
	"fmt"

	"github.com/asof-dev/asof/es"
)

// LoadAsOf returns what the aggregate was at a moment: by version, by position or by
// time. The answer is final: no event can appear later that belongs to the moment.
//
// A moment that is not final yet (a version or a position past the end, a time that
// the store's clock has not passed) gives [es.ErrNotSettled]; an aggregate that had
// no event by then [es.ErrStreamNotFound].
//
// A version waits for nobody. When another moment lies before the aggregate's last
// event it is final already. Otherwise LoadAsOf waits for the appends that are under
// way (bound that by ctx), which a repository in a transaction cannot do: there it is
// an error.
func (r *Repository[S, E]) LoadAsOf(ctx context.Context, id string, at es.AsOf) (State[S], error) {
	if r.invalid != nil {
		return State[S]{}, r.invalid
	}
	state, passed, err := r.upTo(ctx, r.decider.initial(id), at)
	if version, ok := at.Version(); ok {
		if err == nil && !passed && version > state.Version {
			err = fmt.Errorf("%w: %s is at version %d", es.ErrNotSettled, r.decider.stream(id), state.Version)
		}
	} else if !passed && (err == nil || errors.Is(err, es.ErrStreamNotFound)) {
		// Whatever is recorded from here on is later; but what was recorded since the
		// stream was read may belong to the moment, so go on from there.
		if err = r.settle(ctx, at); err == nil {
			state, _, err = r.upTo(ctx, state, at)
		}
	}
	if err == nil && state.Version == 0 {
		err = fmt.Errorf("%w: %s had no event by then", es.ErrStreamNotFound, r.decider.stream(id))
	}
	if err != nil {
		return State[S]{}, wrap(fmt.Sprintf("load as of %s", at), err)
	}
	return state, nil
}

// upTo folds the events after state that had happened at the moment. It has passed
// the moment when no later event can belong to it: versions, positions and times of
// a stream ascend together.
func (r *Repository[S, E]) upTo(ctx context.Context, state State[S], at es.AsOf) (_ State[S], passed bool, _ error) {
	passed = at == es.AsOf{}
	state, err := r.fold(ctx, state, r.after(ctx, state), func(e es.Recorded) bool {
		passed = passed || !at.Includes(e)
		return passed
	}, nil)
	return state, passed, err
}

// settle makes a position or a time final, when the stream ends before it.
func (r *Repository[S, E]) settle(ctx context.Context, at es.AsOf) error {
	if position, ok := at.Position(); ok {
		return r.store.SettleTo(ctx, position)
	}
	moment, _ := at.Time()
	_, err := r.store.Settle(ctx, moment)
	return err
}
