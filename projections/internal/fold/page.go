package fold

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// Page is consecutive events of the log.
type Page struct {
	Events  []es.RecordedEvent
	Wanted  []es.RecordedEvent // of the projection's categories
	Decoded Decoded
}

// Page reads events of the log for a model.
func (d *Definition) Page(ctx context.Context, m Model, events []es.RecordedEvent) *Page {
	pg := &Page{Events: events, Wanted: d.wanted(events)}
	pg.Decoded = m.Decode(ctx, pg.Wanted)
	return pg
}

// wanted leaves out the events of other categories. Where there are none, nothing is copied.
func (d *Definition) wanted(events []es.RecordedEvent) []es.RecordedEvent {
	n := 0
	for i := range events {
		if d.Wants(events[i].Stream.Category) {
			n++
		}
	}
	if n == len(events) {
		return events
	}
	list := make([]es.RecordedEvent, 0, n)
	for i := range events {
		if d.Wants(events[i].Stream.Category) {
			list = append(list, events[i])
		}
	}
	return list
}

// Wants reports a category whose events the projection is for.
func (d *Definition) Wants(category string) bool {
	return len(d.Categories) == 0 || slices.Contains(d.Categories, category)
}

// Last is the last event of a page that has any.
func (pg *Page) Last() *es.RecordedEvent { return &pg.Events[len(pg.Events)-1] }

// Beyond returns what of the page comes after a position.
func (pg *Page) Beyond(ctx context.Context, d *Definition, m Model, position es.Position) *Page {
	n, _ := slices.BinarySearchFunc(pg.Events, position+1, func(e es.RecordedEvent, p es.Position) int { return int(e.Position - p) })
	return d.Page(ctx, m, pg.Events[n:])
}

// readAhead is how many pages are read and Decoded before they are used.
const readAhead = 4

// ahead is a page that is read, and being decoded.
type ahead struct {
	read    *pgstore.Page
	decoded chan *Page
}

// Pipeline reads pages, decodes several at once and uses them in order, all at the same
// time. What was used is given back: nothing points into it any more, as what is parked is a
// copy.
func Pipeline(ctx context.Context, read func(ctx context.Context, give func(*pgstore.Page) error) error, decode func(context.Context, *pgstore.Page) *Page, use func(context.Context, *Page) error) error {
	group, ctx := errgroup.WithContext(ctx)
	pages := make(chan ahead, readAhead)
	group.Go(func() error {
		defer close(pages)
		return read(ctx, func(page *pgstore.Page) error {
			next := ahead{page, make(chan *Page, 1)}
			select {
			case pages <- next:
			case <-ctx.Done():
				return ctx.Err()
			}
			group.Go(func() error { next.decoded <- decode(ctx, page); return nil })
			return nil
		})
	})
	group.Go(func() error {
		for next := range pages {
			pg := <-next.decoded
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := use(ctx, pg); err != nil {
				return err
			}
			pg.Decoded.Recycle()
			next.read.Recycle()
		}
		return ctx.Err()
	})
	return group.Wait()
}
