package command

import (
	"context"
	"time"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
)

// Aggregate is how `state` and `check-events` fold the streams of one category.
// [AggregateOf] makes one.
type Aggregate struct {
	category string
	folder   func() folder
	load     func(ctx context.Context, store es.Store, id string, at *es.AsOf) (folded, error)
}

// AggregateOf makes the aggregates of a decider known to `state` and `check-events`,
// to which their state is what encoding/json writes of S.
func AggregateOf[S any, E es.Event](d aggregates.Decider[S, E]) Aggregate {
	return Aggregate{category: d.Category, folder: func() folder { return newFolding(d) }, load: func(ctx context.Context, store es.Store, id string, at *es.AsOf) (folded, error) {
		repository := aggregates.New(store, d)
		var state aggregates.State[S]
		var err error
		if at == nil {
			state, err = repository.Load(ctx, id)
		} else {
			state, err = repository.LoadAsOf(ctx, id, *at)
		}
		if err != nil {
			return folded{}, err
		}
		return folded{value: state.Value, version: state.Version, position: state.Position, recordedAt: state.RecordedAt}, nil
	}}
}

// folded is the state of a stream.
type folded struct {
	value      any
	version    es.Version
	position   es.Position
	recordedAt time.Time
}
