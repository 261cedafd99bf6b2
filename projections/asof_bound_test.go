package projections_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// What may be parked at most bounds a read as of a moment as it does the projector, however
// many transactions or savepoints it takes.
func TestAsOf_stops_where_more_is_refused_than_may_be_parked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := totals()
	def.Order = projections.Commuting
	def.Table = `create table totals (bucket text primary key, events bigint not null, cents bigint not null check (cents < 1000))`
	def.Keys = func(_ Event, r es.Recorded) []string { return []string{r.Stream.ID} }
	var last es.Position
	for n := range 4 {
		w.append(name(n), Deposited{Cents: 100})
		last = w.append(name(n), Deposited{Cents: 5000})
	}
	for most, fits := range map[int]bool{2: false, 3: false, 4: true} {
		t.Run(fmt.Sprintf("at most %d", most), func(t *testing.T) {
			t.Parallel()
			p := projections.New(w.store, def, projections.WithParked(most))
			err := p.AsOf(t.Context(), es.AtPosition(last), func(context.Context, pgx.Tx) error { return nil })
			if fits && err != nil || !fits && !errors.Is(err, projections.ErrTooManyParked) {
				t.Error(err)
			}
		})
	}
}
