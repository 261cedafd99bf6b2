package command

import (
	"context"
	"time"

	"github.com/asof-dev/asof/es"
)

// Aggregate is how `state` folds the streams of one category. [AggregateOf] makes
// one.
type Aggregate struct {
	category string
	load     func(ctx context.Context, store es.Store, id string, at *es.AsOf) (folded, error)
}

// folded is the state of a stream.
type folded struct {
	value      any
	version    es.Version
	position   es.Position
	recordedAt time.Time
}
