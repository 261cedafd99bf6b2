package projections

import (
	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// tally is what the books are told of events that are applied.
type tally struct {
	sums     map[string]pgstore.Sum // by category
	skipped  int64                  // of a type that the codec does not know
	read     int64                  // events of the log that the position moves over
	parked   int64                  // units more than before
	position es.Position            // every event up to here is then applied; zero leaves it
	event    uuid.UUID              // at position
}

// apply counts events that are applied.
func (t *tally) apply(events []es.RecordedEvent) {
	if t.sums == nil {
		t.sums = map[string]pgstore.Sum{}
	}
	for len(events) > 0 { // neighbours mostly share a category
		category := events[0].Stream.Category
		sum := t.sums[category]
		n := 0
		for ; n < len(events) && events[n].Stream.Category == category; n++ {
			sum.Add(events[n].ID)
		}
		t.sums[category] = sum
		events = events[n:]
	}
}

// move counts a page of the log that was read.
func (t *tally) move(page *fold.Page) {
	t.apply(page.Wanted)
	t.skipped += page.Decoded.Skipped()
	t.read += int64(len(page.Events))
	last := page.Last()
	t.position, t.event = last.Position, last.ID
}
