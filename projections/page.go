package projections

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
)

// page is consecutive events of the log.
type page struct {
	events  []es.RecordedEvent
	wanted  []es.RecordedEvent // of the projection's categories
	decoded decoded
}

func (d *definition) page(m model, events []es.RecordedEvent) *page {
	pg := &page{events: events, wanted: events}
	if len(d.categories) > 0 {
		pg.wanted = make([]es.RecordedEvent, 0, len(events))
		for i := range events {
			if d.wants(events[i].Stream.Category) {
				pg.wanted = append(pg.wanted, events[i])
			}
		}
	}
	pg.decoded = m.decode(pg.wanted)
	return pg
}

func (d *definition) wants(category string) bool {
	return len(d.categories) == 0 || slices.Contains(d.categories, category)
}

func (pg *page) last() *es.RecordedEvent { return &pg.events[len(pg.events)-1] }

// beyond returns what of the page comes after a position.
func (pg *page) beyond(d *definition, m model, position es.Position) *page {
	n, _ := slices.BinarySearchFunc(pg.events, position+1, func(e es.RecordedEvent, p es.Position) int { return int(e.Position - p) })
	return d.page(m, pg.events[n:])
}

// readAhead is how many pages are read and decoded before they are used.
const readAhead = 4

// pipeline reads pages, decodes several at once and uses them in order, all at the same
// time.
func pipeline(ctx context.Context, read func(ctx context.Context, give func([]es.RecordedEvent) error) error, decode func([]es.RecordedEvent) *page, use func(context.Context, *page) error) error {
	group, ctx := errgroup.WithContext(ctx)
	pages := make(chan chan *page, readAhead)
	group.Go(func() error {
		defer close(pages)
		return read(ctx, func(events []es.RecordedEvent) error {
			slot := make(chan *page, 1)
			select {
			case pages <- slot:
			case <-ctx.Done():
				return ctx.Err()
			}
			group.Go(func() error { slot <- decode(events); return nil })
			return nil
		})
	})
	group.Go(func() error {
		for slot := range pages {
			pg := <-slot
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := use(ctx, pg); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	return group.Wait()
}
