package projections_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/mapping"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/projections"
)

// PaidV1 is the first version of the contract, with whole euros.
type PaidV1 struct {
	Euros int64 `json:"euros"`
}

// PaidV2 is the second.
type PaidV2 struct {
	Cents int64 `json:"cents"`
}

func (PaidV1) EventType() string { return "accounts.paid" }
func (PaidV2) EventType() string { return "accounts.paid" }
func (PaidV2) EventSchema() int  { return 2 }

func paymentsV1(category string) mapping.Mapping {
	return mapping.Of(mapping.Config[Event, PaidV1]{
		Name: category + "-v1", Category: category, Codec: codec(), Public: es.JSON(PaidV1{}), Sparse: true,
		Map: func(_ context.Context, e Event, _ es.Recorded) ([]PaidV1, error) {
			if d, ok := e.(Deposited); ok {
				return []PaidV1{{d.Cents / 100}}, nil
			}
			return nil, nil
		},
	})
}

func paymentsV2(category string) mapping.Mapping {
	return mapping.Of(mapping.Config[Event, PaidV2]{
		Name: category + "-v2", Category: category, Codec: codec(), Public: es.JSON(PaidV2{}), Sparse: true,
		Map: func(_ context.Context, e Event, _ es.Recorded) ([]PaidV2, error) {
			if d, ok := e.(Deposited); ok {
				return []PaidV2{{d.Cents}}, nil
			}
			return nil, nil
		},
	})
}

// Paid is a row of the consumer's.
type Paid struct {
	Account string `db:"account"`
	Cents   int64  `db:"cents"`
	Times   int64  `db:"times"`
}

// paid is the consumer's read model: the program of before has the first version alone.
func paid[E es.Event](category string, codec es.Codec[E], cents func(E) int64) projections.Fold[Paid, E] {
	return projections.Fold[Paid, E]{
		Name: "paid", Version: 1, Categories: []string{category}, Order: projections.OneStream, Codec: codec,
		Table: `create table paid (account text primary key, cents bigint not null, times bigint not null)`,
		Key:   func(_ E, r es.Recorded) string { return r.Stream.ID },
		Apply: func(p *Paid, e E, _ es.Recorded) {
			p.Cents += cents(e)
			p.Times++
		},
	}
}

// bothVersions reads the two, as the second.
func bothVersions() es.Codec[PaidV2] {
	return es.Upcast(es.JSON(PaidV2{}), es.UpcastJSON("accounts.paid", 1, func(old PaidV1) (PaidV2, error) {
		return PaidV2{old.Euros * 100}, nil
	}))
}

// The guide on publishing, walked: a second version of a contract comes beside the first, a
// consumer moves, and the first ends. Nothing is lost on the way, and nothing applied twice.
func TestConsumer_moves_to_the_next_version_of_a_contract(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	v1, v2 := paymentsV1(g.category), paymentsV2(g.category)
	publish := func(ended []string, mappings ...mapping.Mapping) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		relay := outbox.New(g.store, g.client, "/accounts", outbox.WithPartitions(2), outbox.WithLogger(slog.New(slog.DiscardHandler)), outbox.WithMappings(mappings...), outbox.WithEnded(ended...))
		go func() { done <- relay.Run(ctx) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	published := func() {
		t.Helper()
		until(t, "all is published", func() bool {
			s, err := outbox.ReadStatus(t.Context(), g.store)
			return err == nil && s.Lag == 0
		})
	}
	want := func(p *projections.Projector, what string, cents, times int64) {
		t.Helper()
		g.untilAll(p)
		if got := tableOf(g.target, "paid.paid", func(p Paid) string { return p.Account })["a-1"]; got.Cents != cents || got.Times != times {
			t.Fatalf("%s: %+v, want %d cents in %d", what, got, cents, times)
		}
		if s := g.status(p); s.Gaps != nil || s.Parked != 0 {
			t.Fatalf("%s: %+v", what, s)
		}
	}

	// The first version alone.
	stopRelay := publish(nil, v1)
	g.append("a-1", Opened{"ann"}, Deposited{700}, Withdrawn{1}, Deposited{1400})
	published()
	old := projections.New(g.in(), paid(g.category, es.JSON(PaidV1{}), func(p PaidV1) int64 { return p.Euros * 100 }), g.reads(v1.Topic()))
	stopOld := start(t, old)
	want(old, "the first version", 2100, 2)

	// 1. Both are published, side by side. Who reads the first notices nothing.
	stopRelay()
	stopRelay = publish(nil, v1, v2)
	g.append("a-1", Withdrawn{1}, Deposited{250})
	published()
	want(old, "beside the second", 2300, 3) // whole euros, as ever

	// 2. The consumer's next program reads both topics: what it has had it knows by the stream's versions.
	if err := stopOld(); err != nil {
		t.Fatal(err)
	}
	next := projections.New(g.in(), paid(g.category, bothVersions(), func(p PaidV2) int64 { return p.Cents }), g.reads(v1.Topic(), v2.Topic()))
	stopNext := start(t, next)
	g.append("a-1", Deposited{300})
	published()
	want(next, "with both", 2600, 4)

	// 3. When all consumers have moved, the first ends. Its topic stays, as it has what was before the second.
	stopRelay()
	stopRelay = publish([]string{v1.Name()}, v2)
	g.append("a-1", Deposited{150})
	published()
	want(next, "without the first", 2750, 5)
	if err := next.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := tableOf(g.target, "paid.paid", func(p Paid) string { return p.Account })["a-1"]; got.Times != 5 || got.Cents < 2750 || got.Cents > 2800 {
		t.Fatalf("rebuilt: %+v", got)
	}
	if err := stopNext(); err != nil {
		t.Error(err)
	}
	stopRelay()
}

// A consumer that is behind with the first version reads that to its end before it begins with
// the second: where streams have holes, nobody would tell that something was left out.
func TestConsumer_that_is_behind_reads_the_former_version_first(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	send := func(m mapping.Mapping, topic string, events []es.RecordedEvent) {
		t.Helper()
		messages, _ := g.letters(m, events)
		for i := range messages {
			messages[i].Topic = topic
		}
		g.send(messages...)
	}
	first, second := g.topic(2), g.topic(2)
	v1, v2 := paymentsV1(g.category), paymentsV2(g.category)
	read := func(topics ...string) *projections.Projector {
		return projections.New(g.in(), paid(g.category, bothVersions(), func(p PaidV2) int64 { return p.Cents }), g.reads(topics...), projections.WithBatch(10))
	}
	g.append("a-1", Deposited{100})
	send(v1, first, g.history())
	p := read(first)
	stop := start(t, p)
	g.untilAll(p)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for range 500 { // it is down meanwhile
		g.append("a-1", Withdrawn{1}, Deposited{100})
	}
	send(v1, first, g.history()[1:])
	before := len(g.history())
	g.append("a-1", Deposited{100})
	send(v1, first, g.history()[before:])
	send(v2, second, g.history()[before:])
	p = read(second, first)
	start(t, p)
	g.untilAll(p)
	if got := tableOf(g.target, "paid.paid", func(p Paid) string { return p.Account })["a-1"]; got.Times != 502 || got.Cents != 50200 {
		t.Errorf("%+v", got)
	}
}
