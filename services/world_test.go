package services_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/services/internal/webtest"
	"github.com/asof-dev/asof/services/inventory"
	"github.com/asof-dev/asof/services/orders"
)

// world is both services with all that belongs to them, on databases and topics of
// the test's own.
type world struct {
	testing.TB
	orders, inventory *side
}

// side is one service.
type side struct {
	t      testing.TB
	name   string
	topics []string // that it publishes
	reads  string   // topic
	prefix string
	log    *slog.Logger

	store    *pgstore.Store
	client   *kafka.Client
	api      webtest.Client
	models   []*projections.Projector
	reaction func(ctx context.Context) error

	relay, react *running
}

func newWorld(t testing.TB) *world {
	t.Helper()
	prefix := "t" + strings.ToLower(rand.Text()[:10]) + "."
	w := &world{
		TB:        t,
		orders:    newSide(t, "orders", prefix, "reservation", "order"),
		inventory: newSide(t, "inventory", prefix, "order", "product", "reservation"),
	}
	o := orders.New(orders.Config{Store: w.orders.store, Kafka: w.orders.client, TopicPrefix: prefix, Log: w.orders.log})
	i := inventory.New(inventory.Config{Store: w.inventory.store, Kafka: w.inventory.client, TopicPrefix: prefix, Log: w.inventory.log})
	w.orders.begin(httptest.NewServer(o.Handler()), o.React, orders.Summary, orders.Customers)
	w.inventory.begin(httptest.NewServer(i.Handler()), i.React, inventory.Stock)
	return w
}

func newSide(t testing.TB, name, prefix, reads string, topics ...string) *side {
	t.Helper()
	store := pgstoretest.New(t, pgstoretest.MaxConns(24))
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})).With("service", name)
	client, err := kafka.New(kafka.Config{Brokers: embeddedtest.Brokers(t), ClientID: name, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return &side{t: t, name: name, prefix: prefix, reads: reads, topics: topics, log: log, store: store, client: client}
}

// begin starts the API, the relay, the reaction and the projectors, which read from
// Kafka.
func (s *side) begin(server *httptest.Server, reaction func(ctx context.Context) error, models ...projections.Definition) {
	s.t.Cleanup(server.Close)
	s.api, s.reaction = webtest.Client{URL: server.URL}, reaction
	for _, model := range models {
		p := projections.New(s.store, model, projections.WithLogger(s.log), projections.WithPoll(10*time.Millisecond),
			projections.FromKafka(s.client, projections.WithTopicPrefix(s.prefix), projections.WithEventSource("/"+s.name)))
		s.models = append(s.models, p)
		run(s.t, p.Run)
	}
	s.startRelay()
	s.startReaction()
}

func (s *side) startRelay() {
	relay := outbox.New(s.store, s.client, "/"+s.name, outbox.WithTopicPrefix(s.prefix), outbox.WithLogger(s.log), outbox.WithLease(2*time.Second))
	s.relay = run(s.t, relay.Run)
}

func (s *side) startReaction() { s.react = run(s.t, s.reaction) }

// repeat stops the relay and has a new one publish the whole log again.
func (s *side) repeat() {
	s.relay.end()
	if err := outbox.Repair(s.t.Context(), s.store, 0); err != nil {
		s.t.Error(err)
	}
	s.startRelay()
}

// restart stops the reaction, whatever it is at, and starts it again.
func (s *side) restart() {
	s.react.end()
	s.startReaction()
}

// running is something that runs until it is stopped.
type running struct {
	stop  context.CancelFunc
	ended chan struct{}
}

// run keeps f running until end or the end of the test; f must return nil then.
func run(t testing.TB, f func(ctx context.Context) error) *running {
	ctx, stop := context.WithCancel(t.Context())
	r := &running{stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		if err := f(ctx); err != nil || ctx.Err() == nil {
			t.Errorf("it ended: %v", err)
		}
	}()
	t.Cleanup(r.end)
	return r
}

func (r *running) end() {
	r.stop()
	<-r.ended
}

// quiet waits until everything that happened has been published and reacted to, and
// the read models show it.
func (w *world) quiet() {
	w.Helper()
	heads := func() [2]es.Position { return [2]es.Position{w.orders.head(), w.inventory.head()} }
	w.until("the services come to rest", func() bool {
		before := heads()
		return w.orders.idle() && w.inventory.idle() && before == heads()
	})
	for _, s := range []*side{w.orders, w.inventory} {
		ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
		for _, model := range s.models {
			if err := model.WaitFor(ctx, s.head()); err != nil {
				w.Error(err)
			}
		}
		cancel()
	}
}

func (s *side) head() es.Position {
	head, err := s.store.Settle(s.t.Context(), time.Time{})
	if err != nil {
		s.t.Error(err)
	}
	return head
}

// idle reports that all is published, and all that came is handled.
func (s *side) idle() bool {
	status, err := outbox.ReadStatus(s.t.Context(), s.store)
	if err != nil || status.Lag > 0 || status.Position < s.head() {
		return false
	}
	lag, err := s.client.Lag(s.t.Context(), s.prefix+s.name, s.prefix+s.reads)
	return err == nil && lag == 0
}

// events reads the whole log.
func (s *side) events() []es.RecordedEvent {
	s.t.Helper()
	var all []es.RecordedEvent
	for after := es.Position(0); ; after = all[len(all)-1].Position {
		page, err := s.store.Read(s.t.Context(), after, 1000)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

// published counts the messages of its topics.
func (s *side) published() (messages int64) {
	s.t.Helper()
	for _, topic := range s.topics {
		heads, err := s.client.Heads(s.t.Context(), s.prefix+topic)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, head := range heads {
			messages += head
		}
	}
	return messages
}

// until polls a condition; it is for the test's own goroutine.
func (w *world) until(what string, holds func() bool) {
	w.Helper()
	if err := poll(w.Context(), holds); err != nil {
		w.Fatalf("never happened: %s", what)
	}
}

var errNever = errors.New("never happened")

func poll(ctx context.Context, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errNever
		}
	}
	return nil
}
