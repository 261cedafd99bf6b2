package command

import (
	"context"
	"slices"
	"strings"

	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections"
)

// ownerSQL looks whether a log has events, and any of the given categories: both by
// the index of streams, with at most a look for each. Bind: $1 the categories.
const ownerSQL = `
select exists (select from {asof}.events),
       exists (select from unnest($1::text[]) as own (category) where exists (select from {asof}.events e where e.category = own.category))`

// own refuses to write into the store of another service, whose address is given by
// mistake: its log has events, and none of a category that this service knows. A
// service that knows no categories, as asof itself, works on any store.
func (s *Session) own(ctx context.Context) error {
	known := s.service.categories(s.Store)
	var some, mine bool
	if err := s.Pool.QueryRow(ctx, pg.Expand(s.Store.Schema(), ownerSQL), known).Scan(&some, &mine); err != nil {
		return pg.Explain("command", "look whose store it is", err)
	}
	if !some || mine || known == nil {
		return nil
	}
	status, err := s.Store.Status(ctx)
	if err != nil {
		return err
	}
	var theirs []string
	for _, category := range status.Categories {
		theirs = append(theirs, category.Name)
	}
	return usage("the store in schema %s of database %s is another service's: it has events of %s, and none of %s, which %s knows: set DATABASE_URL to the database of %s",
		s.Store.Schema(), s.Pool.Config().ConnConfig.Database, strings.Join(theirs, ", "), strings.Join(known, ", "), s.service.Name, s.service.Name)
}

// ownIfMigrated is own for what may come before the tables.
func (s *Session) ownIfMigrated(ctx context.Context) error {
	if err := s.own(ctx); !pg.NotMigrated(err) {
		return err
	}
	return nil
}

// categories are those that the service's code names; none when it names none, or a
// read model of it is for the events of all.
func (s Service) categories(store *pgstore.Store) (known []string) {
	for _, aggregate := range s.Aggregates {
		known = append(known, aggregate.category)
	}
	for _, definition := range s.Projections {
		of := projections.New(store, definition).Categories()
		if len(of) == 0 {
			return nil
		}
		known = append(known, of...)
	}
	slices.Sort(known)
	return slices.Compact(known)
}
