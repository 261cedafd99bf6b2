package inventory

import (
	"context"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// Follow lets tests give the service an order's event without a broker.
func (a *App) Follow(ctx context.Context, e es.RecordedEvent, tx *pgstore.Tx) error {
	return a.follow(ctx, e, tx)
}
