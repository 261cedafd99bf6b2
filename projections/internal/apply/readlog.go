package apply

import (
	"context"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// PageEvents is how many events are read at once where many are.
const PageEvents = 5_000

// ReadLog gives the pages of the log after a checkpoint and up to a settled position.
func (a *Applier) ReadLog(ctx context.Context, after es.Checkpoint, upTo es.Position, limit int, give func([]es.RecordedEvent) error) error {
	return a.Log.Stream(ctx, after, upTo, limit, func(page *pgstore.Page) error { return give(page.Events) })
}
