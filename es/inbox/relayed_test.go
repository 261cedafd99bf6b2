package inbox_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/outbox"
)

// From repair to the reaction elsewhere: what the relay publishes after a loss stops
// it, and after the acceptance each event is reacted to once.
func TestReaction_stops_after_a_loss_until_it_is_told(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	kept := s.placeOrders(3)
	s.publish(kept)
	box := inbox.New(s.store, "reserve", inbox.WithTypes("order.placed"))
	handle := box.Handle(reserveFor)
	var another atomic.Pointer[inbox.AnotherLifeError]
	s.react(func(m *message.Message) error {
		err := handle(m)
		if refused, ok := errors.AsType[*inbox.AnotherLifeError](err); ok {
			another.Store(refused)
		}
		return err
	})
	s.caughtUp()
	s.want(2*3, 3)

	if err := outbox.Repair(t.Context(), s.store, kept, outbox.EventsLost()); err != nil {
		t.Fatal(err)
	}
	s.publishOn(s.placeMore())
	s.until("refused", func() bool { return another.Load() != nil })
	s.want(2*3+1, 3)

	refused := another.Load()
	if err := box.Accept(t.Context(), refused.Source, refused.Life, kept); err != nil {
		t.Fatal(err)
	}
	s.caughtUp()
	s.want(2*4, 4)
	s.publish(s.lastPosition()) // all of it again, as of the new life
	s.caughtUp()
	s.want(2*4, 4)
}
