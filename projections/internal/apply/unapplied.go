package apply

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// Of a build that Kafka feeds, all events up to its position are applied and some after it,
// which the last version of each stream tells. Log and books may lie in two databases: so a
// part of the log is read first, and then what the books say of its streams. What is applied
// meanwhile counts as applied.

// loggedSQL reads where events stand. Bind: $1 after, $2 up to, $3 categories or null, $4 limit.
const loggedSQL = `
select position, event_id, category, stream_id, version from {asof}.events
where position > $1 and position <= $2 and ($3::text[] is null or category = any($3))
order by position limit $4`

// Comparison is of the builds in a database with a log.
type Comparison struct {
	Books books.Books
	Log   *pgstore.Store
	Tx    pgx.Tx // in which the books are read, and a log beside them; nil: in none
}

// Comparison is that of the applier's builds with its log.
func (a *Applier) Comparison() Comparison { return Comparison{Books: a.Books, Log: a.Log} }

func (c Comparison) books() pg.Querier {
	if c.Tx != nil {
		return c.Tx
	}
	return c.Books.Pool()
}

func (c Comparison) log() pg.Querier {
	if c.Log.Pool() == c.Books.Pool() { // one connection for both
		return c.books()
	}
	return c.Log.Pool()
}

// Each gives the events of categories, or of all for nil, after the position of a build and
// up to another, and says whether the build has applied them, until give returns false.
func (c Comparison) Each(ctx context.Context, b books.Build, upTo es.Position, categories []string, give func(e *es.Recorded, applied bool) bool) error {
	for after := b.Position; after < upTo; {
		page, err := c.page(ctx, after, upTo, categories)
		if err != nil {
			return fault.Explain("compare with the log", err)
		}
		seen, err := c.seen(ctx, b, page)
		if err != nil {
			return fault.Explain("compare with the log", err)
		}
		for i := range page {
			e := &page[i]
			if after = e.Position; !give(e, e.Version <= seen[e.Stream]) {
				return nil
			}
		}
		if len(page) < PageEvents {
			return nil
		}
	}
	return nil
}

func (c Comparison) page(ctx context.Context, after, upTo es.Position, categories []string) ([]es.Recorded, error) {
	rows, err := c.log().Query(ctx, books.Of(c.Log).SQL(loggedSQL), int64(after), int64(upTo), categories, PageEvents)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e es.Recorded, err error) {
		err = row.Scan((*int64)(&e.Position), &e.ID, &e.Stream.Category, &e.Stream.ID, (*int64)(&e.Version))
		return e, err
	})
}

// seen reads the last version of each stream of a page.
func (c Comparison) seen(ctx context.Context, b books.Build, page []es.Recorded) (Versions, error) {
	seen := Versions{}
	var categories, ids []string
	for i := range page {
		s := page[i].Stream
		if _, asked := seen[s]; !asked {
			seen[s] = 0
			categories, ids = append(categories, s.Category), append(ids, s.ID)
		}
	}
	rows, err := c.books().Query(ctx, c.Books.SQL(seenSQL), b.ID, categories, ids, "")
	if err != nil {
		return nil, err
	}
	return seen, seen.collect(rows)
}

// Unapplied counts the events of categories, or of all for nil, that a build has not applied,
// up to a position, and returns where the first of them stands.
func (c Comparison) Unapplied(ctx context.Context, b books.Build, upTo es.Position, categories []string) (n int64, first es.Position, err error) {
	err = c.Each(ctx, b, upTo, categories, func(e *es.Recorded, applied bool) bool {
		if !applied {
			if n++; n == 1 {
				first = e.Position
			}
		}
		return true
	})
	return n, first, err
}
