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

// Scan reads a page of the log after a checkpoint.
type Scan func(ctx context.Context, after es.Checkpoint, upTo es.Position, limit int) ([]es.RecordedEvent, error)

// ScanLog gives page after page of a scan, up to a position.
func ScanLog(ctx context.Context, scan Scan, after es.Checkpoint, upTo es.Position, limit int, give func([]es.RecordedEvent) error) error {
	for after.Position < upTo {
		page, err := scan(ctx, after, upTo, limit)
		if err != nil || len(page) == 0 {
			return err
		}
		last := &page[len(page)-1]
		after.Position, after.EventID = last.Position, last.ID
		if err := give(page); err != nil {
			return err
		}
	}
	return nil
}
