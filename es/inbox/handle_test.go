package inbox_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
)

// shop is a world whose log is published, to a topic of the test's own.
type shop struct {
	*world
	client *kafka.Client
	prefix string
	group  string
}

func newShop(t testing.TB) *shop {
	t.Helper()
	client, err := kafka.New(kafka.Config{Brokers: embeddedtest.Brokers(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	unique := strings.ToLower(rand.Text()[:10])
	s := &shop{world: newWorld(t), client: client, prefix: "inbox-" + unique + ".", group: "reserve-" + unique}
	if err := client.EnsureTopics(t.Context(), kafka.Topic{Name: s.prefix + "order", Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs something until the returned function is called.
func run(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// publish publishes the log from the beginning.
func (s *shop) publish(last es.Position) {
	s.Helper()
	if err := outbox.Repair(s.Context(), s.store, 0); err != nil {
		s.Fatal(err)
	}
	s.publishOn(last)
}

// publishOn publishes what is not published yet.
func (s *shop) publishOn(last es.Position) {
	s.Helper()
	relay := outbox.New(s.store, s.client, "/orders", outbox.WithTopicPrefix(s.prefix), outbox.WithPartitions(3))
	stop := run(s, relay.Run)
	s.until("published", func() bool {
		status, err := outbox.ReadStatus(s.Context(), s.store)
		return err == nil && status.Position >= last
	})
	stop()
}

// react runs a consumer of the group.
func (s *shop) react(handler message.NoPublishHandlerFunc) (stop func()) {
	s.Helper()
	subscriber, err := kafka.NewSubscriber(s.client, kafka.SubscriberConfig{Group: s.group, TopicPrefix: s.prefix})
	if err != nil {
		s.Fatal(err)
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 10 * time.Second}, watermill.NopLogger{})
	if err != nil {
		s.Fatal(err)
	}
	router.AddConsumerHandler("reserve", "order", subscriber, handler)
	return run(s, router.Run)
}

func (s *shop) until(what string, holds func() bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 60*time.Second)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			s.Fatalf("never happened: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// caughtUp waits until the group has acknowledged all that is published.
func (s *shop) caughtUp() {
	s.Helper()
	s.until("all messages acknowledged", func() bool {
		lag, err := s.client.Lag(s.Context(), s.group, s.prefix+"order")
		return err == nil && lag == 0
	})
}

func (s *shop) placeOrders(n int) (last es.Position) {
	s.Helper()
	for i := range n {
		event := es.EventData{ID: es.NewID(), Type: "order.placed", Data: []byte(`{}`)}
		if i%2 == 0 {
			event.Metadata = es.Metadata{CorrelationID: fmt.Sprintf("request-%d", i), TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
		}
		recorded, err := s.store.Append(s.Context(), es.StreamID{Category: "order", ID: strconv.Itoa(i)}, es.NoStream, event)
		if err != nil {
			s.Fatal(err)
		}
		last = recorded[0].Position
	}
	return last
}

// placeMore places one more order.
func (s *shop) placeMore() es.Position {
	s.Helper()
	recorded, err := s.store.Append(s.Context(), es.StreamID{Category: "order", ID: "more"}, es.NoStream, es.EventData{ID: es.NewID(), Type: "order.placed", Data: []byte(`{}`)})
	if err != nil {
		s.Fatal(err)
	}
	return recorded[0].Position
}

func (s *shop) lastPosition() es.Position {
	s.Helper()
	return es.Position(s.number(`select max(position) from asof.events`))
}

// Everything is published twice, consumers come and go, reactions fail, handlers end
// between commit and acknowledgement: every event is reacted to once.
func TestReactions_happen_once(t *testing.T) {
	t.Parallel()
	const orders = 120
	s := newShop(t)
	last := s.placeOrders(orders)
	s.publish(last)
	s.publish(last)

	var calls, lost atomic.Int64
	react := func(ctx context.Context, e es.RecordedEvent, tx *pgstore.Tx) error {
		_, err := tx.Append(ctx, es.StreamID{Category: "stock", ID: e.Stream.ID}, es.Any, reserved(ctx))
		if err == nil && calls.Add(1)%5 == 0 {
			err = errors.New("not today")
		}
		return err
	}
	handler := func() message.NoPublishHandlerFunc { // of a process of its own
		handle := inbox.New(s.store, "reserve", inbox.WithTypes("order.placed")).Handle(react)
		return func(m *message.Message) error {
			if err := handle(m); err != nil {
				return err
			}
			if lost.Add(1)%7 == 0 {
				return errors.New("it ended before the acknowledgement")
			}
			return nil
		}
	}
	s.react(handler())
	stop := s.react(handler())
	s.until("half of the reactions", func() bool { return s.number(`select count(*) from asof.inbox`) > orders/2 })
	stop()
	s.react(handler())
	s.caughtUp()

	s.want(2*orders, orders)
	if n := s.number(`select count(distinct stream_id) from asof.events where category = 'stock'`); n != orders {
		t.Errorf("%d orders were reacted to", n)
	}
	for e, err := range s.store.ReadStream(t.Context(), es.StreamID{Category: "stock", ID: "0"}, 1) {
		if err != nil {
			t.Fatal(err)
		}
		s.wantCause(e, "request-0", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	}
	for e, err := range s.store.ReadStream(t.Context(), es.StreamID{Category: "stock", ID: "1"}, 1) {
		if err != nil {
			t.Fatal(err)
		}
		s.wantCause(e, s.order("1").ID.String(), "")
	}
}

func (s *shop) order(id string) (event es.RecordedEvent) {
	s.Helper()
	for e, err := range s.store.ReadStream(s.Context(), es.StreamID{Category: "order", ID: id}, 1) {
		if err != nil {
			s.Fatal(err)
		}
		event = e
	}
	return event
}

func (s *shop) wantCause(e es.RecordedEvent, correlation, trace string) {
	s.Helper()
	m := e.Metadata
	if m.CorrelationID != correlation || m.CausationID != s.order(e.Stream.ID).ID.String() || m.TraceParent != trace {
		s.Errorf("%s: %+v", e.Stream, m)
	}
}

func TestMessages_that_are_not_for_the_reaction_are_counted(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	publisher := s.client.NewProducer()
	defer publisher.Close()
	err := publisher.Publish(t.Context(), kafka.Message{Topic: s.prefix + "order", Key: []byte("1"), Value: []byte("hello")})
	if err != nil {
		t.Fatal(err)
	}
	paid := es.EventData{ID: es.NewID(), Type: "order.paid", Data: []byte(`{}`)}
	if _, err := s.store.Append(t.Context(), es.StreamID{Category: "order", ID: "paid"}, es.NoStream, paid); err != nil {
		t.Fatal(err)
	}
	s.publish(s.placeOrders(3))

	box := inbox.New(s.store, "reserve", inbox.WithTypes("order.placed"))
	s.react(box.Handle(func(ctx context.Context, _ es.RecordedEvent, tx *pgstore.Tx) error { return reserve(ctx, tx) }))
	s.caughtUp()
	if c := box.Counts(); c != (inbox.Counts{Reacted: 3, Skipped: 1, Foreign: 1}) {
		t.Fatalf("%+v", c)
	}
	s.want(4+3, 3)
}
