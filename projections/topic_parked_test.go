package projections_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// as is an event as another service has it, at another version of its stream.
func as(e es.RecordedEvent, version es.Version) es.RecordedEvent {
	e.ID, e.Version = es.NewID(), version
	return e
}

// Who waits for an event that is parked is told why it is, and not why that of another service's
// stream of the same name is.
func TestTopics_alone_say_by_source_why_an_event_is_parked(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	def := poisonedTotals(new(atomic.Bool))
	def.Categories = []string{g.category}
	p := g.projector(def)
	start(t, p)
	g.append("a-1", Deposited{Cents: failsForAll}, Deposited{Cents: 100})
	e, other := g.history(), uuid.New()
	g.tell("/one", g.life, e[0])
	g.tell("/other", other, as(e[1], 1), as(e[0], 2), as(e[1], 3))
	g.untilAll(p)
	wantParked(t, p, g.in(), 3)
	for version, source := range map[es.Version]uuid.UUID{1: g.life, 2: other, 3: other} {
		var parked *projections.ParkedError
		err := p.WaitForToken(within(t, patient), es.Token{Life: source, Position: e[0].Position, Stream: e[0].Stream, Version: version})
		if want := min(version, 2); !errors.As(err, &parked) || parked.Version != want || parked.Key != "all" || parked.Reason == "" {
			t.Errorf("version %d: %+v, want one that begins at version %d; %v", version, parked, want, err)
		}
	}
	if err := p.WaitForToken(within(t, patient), es.Token{Life: other, Position: e[0].Position, Stream: e[0].Stream, Version: 1}); err != nil {
		t.Errorf("an event that is applied: %v", err)
	}
}
