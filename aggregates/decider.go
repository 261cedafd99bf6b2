package aggregates

import (
	"fmt"

	"github.com/asof-dev/asof/es"
)

// Decider describes a kind of aggregate: how its events make its state. It holds no
// state itself; one value serves the whole program.
type Decider[S any, E es.Event] struct {
	// Category names the aggregate's streams; the id tells them apart.
	Category string
	// Initial returns the state before the first event; nil means S's zero value.
	Initial func() S
	// Evolve returns the state after one more event. It cannot refuse an event, as
	// it has happened; it ignores those that say nothing about the state. A map or a
	// slice in the state that it was given is to be copied, not changed.
	Evolve func(S, E) S
	// Codec knows every type of event of these streams.
	Codec es.Codec[E]
}

// complete returns an [es.ErrInvalid] when a field is missing.
func (d Decider[S, E]) complete() error {
	if d.Evolve == nil || d.Codec == nil {
		return fmt.Errorf("aggregates: %w: decider of category %q: set Evolve and Codec", es.ErrInvalid, d.Category)
	}
	if err := (es.StreamID{Category: d.Category, ID: "any"}).Validate(); err != nil {
		return wrap("decider", err)
	}
	return nil
}

// initial returns the state of an aggregate without events.
func (d Decider[S, E]) initial(id string) State[S] {
	s := State[S]{ID: id}
	if d.Initial != nil {
		s.Value = d.Initial()
	}
	return s
}

func (d Decider[S, E]) stream(id string) es.StreamID {
	return es.StreamID{Category: d.Category, ID: id}
}
