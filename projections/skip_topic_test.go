package projections_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// Without a log nobody knows of what stream an event is that is parked no more: a skip that is
// repeated finds what waits behind it all the same.
func TestTopics_alone_skip_may_be_repeated(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	def := poisonedBalances(new(atomic.Bool))
	def.Categories = []string{g.category}
	p := g.projector(def)
	stop := start(t, p)
	g.untilAll(p)
	g.append("a-1", Deposited{Cents: 100}, Deposited{Cents: failsEverywhere}, Deposited{Cents: 200})
	g.tell(eventSource, g.life, g.history()...)
	g.untilAll(p)
	e := g.history()[2]
	var parked *projections.ParkedError
	if err := p.WaitForToken(within(t, patient), es.Token{Life: g.life, Position: e.Position, Stream: e.Stream, Version: e.Version}); !errors.As(err, &parked) || parked.Version != 2 {
		t.Errorf("waited for what is parked in a lane: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	event := wantParked(t, p, g.in(), 2)[0].Event.ID
	def.Version = 2
	if _, err := g.projector(def).Skip(t.Context(), event, "not for all"); !errors.Is(err, projections.ErrAnotherProgram) {
		t.Errorf("by a program of another version: %v", err)
	}
	wantParked(t, p, g.in(), 1)
	if done, err := p.Skip(t.Context(), event, "never for all"); err != nil || done != (projections.Retried{Applied: 1}) {
		t.Errorf("%+v, %v", done, err)
	}
	wantParked(t, p, g.in(), 0)
	if n := g.target.number(`select cents from balances.balances`); n != 300 {
		t.Errorf("%d cents", n)
	}
}
