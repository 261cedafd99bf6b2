package books

import (
	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// Tally is what the books are told of events that are applied.
type Tally struct {
	sums     map[string]pgstore.Sum // by category
	Skipped  int64                  // of a type that the codec does not know
	Read     int64                  // events of the log that the position moves over
	Foreign  int64                  // messages that are no events of the log
	Parked   int64                  // units more than before
	Position es.Position            // every event up to here is then applied; zero leaves it
	Event    uuid.UUID              // at position
}

// Apply counts events that are applied.
func (t *Tally) Apply(events []es.RecordedEvent) {
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

// Move counts a page of the log that was read.
func (t *Tally) Move(page *fold.Page) {
	t.Apply(page.Wanted)
	t.Skipped += page.Decoded.Skipped()
	t.Read += int64(len(page.Events))
	last := page.Last()
	t.Position, t.Event = last.Position, last.ID
}
