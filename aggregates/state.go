package aggregates

import (
	"time"

	"github.com/asof-dev/asof/es"
)

// State is what an aggregate was after one of its events.
type State[S any] struct {
	// ID is the aggregate's, without the category.
	ID string
	// Value is what its events were folded into.
	Value S
	// Version is that of the last event; zero when there is none.
	Version es.Version
	// Position is the last event's place in the store's log.
	Position es.Position
	// RecordedAt is when the last event was recorded, by the store's clock.
	RecordedAt time.Time
}

// Step is one event of an aggregate's history.
type Step[S any, E es.Event] struct {
	// Event is what happened.
	Event E
	// Recorded is what the store added to it. Where an upcaster has made several events of
	// one, each is a step, with its [es.Recorded.Part].
	Recorded es.Recorded
	// State is what the aggregate was after it.
	State State[S]
}
