package fold

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
)

// Page is consecutive events of the log.
type Page struct {
	Events  []es.RecordedEvent
	Wanted  []es.RecordedEvent // of the projection's categories
	Decoded Decoded
}

// Page reads events of the log for a model.
func (d *Definition) Page(m Model, events []es.RecordedEvent) *Page {
	pg := &Page{Events: events, Wanted: events}
	if len(d.Categories) > 0 {
		pg.Wanted = make([]es.RecordedEvent, 0, len(events))
		for i := range events {
			if d.Wants(events[i].Stream.Category) {
				pg.Wanted = append(pg.Wanted, events[i])
			}
		}
	}
	pg.Decoded = m.Decode(pg.Wanted)
	return pg
}

// Wants reports a category whose events the projection is for.
func (d *Definition) Wants(category string) bool {
	return len(d.Categories) == 0 || slices.Contains(d.Categories, category)
}

// Last is the last event of a page that has any.
func (pg *Page) Last() *es.RecordedEvent { return &pg.Events[len(pg.Events)-1] }

// Beyond returns what of the page comes after a position.
func (pg *Page) Beyond(d *Definition, m Model, position es.Position) *Page {
	n, _ := slices.BinarySearchFunc(pg.Events, position+1, func(e es.RecordedEvent, p es.Position) int { return int(e.Position - p) })
	return d.Page(m, pg.Events[n:])
}

// readAhead is how many pages are read and Decoded before they are used.
const readAhead = 4

// Pipeline reads pages, decodes several at once and uses them in order, all at the same
// time.
func Pipeline(ctx context.Context, read func(ctx context.Context, give func([]es.RecordedEvent) error) error, decode func([]es.RecordedEvent) *Page, use func(context.Context, *Page) error) error {
	group, ctx := errgroup.WithContext(ctx)
	pages := make(chan chan *Page, readAhead)
	group.Go(func() error {
		defer close(pages)
		return read(ctx, func(events []es.RecordedEvent) error {
			slot := make(chan *Page, 1)
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
