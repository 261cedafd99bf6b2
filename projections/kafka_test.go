package projections_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/projections"
)

// mangled doubles, drops, repeats and reorders as much as Kafka and a relay may do at
// their worst: events of one stream still come in order for the first time.
func mangled() func([]es.RecordedEvent) []es.RecordedEvent {
	random := rand.New(rand.NewPCG(1, 2))
	var old []es.RecordedEvent
	return func(page []es.RecordedEvent) []es.RecordedEvent {
		byStream := map[es.StreamID][]es.RecordedEvent{}
		for _, e := range page {
			byStream[e.Stream] = append(byStream[e.Stream], e)
		}
		old = append(old, page...)
		var out []es.RecordedEvent
		for _, events := range byStream { // in the order of the map: none
			for i, e := range events {
				if i < len(events)-1 && random.IntN(4) == 0 {
					continue // the last is kept, so that the gap shows
				}
				out = append(out, e)
				if random.IntN(4) == 0 {
					out = append(out, e)
				}
			}
			if random.IntN(3) == 0 {
				from := random.IntN(len(old))
				out = append(out, old[from:min(from+5, len(old))]...)
			}
		}
		return out
	}
}

func TestKafka_doubled_dropped_and_reordered_messages_count_once(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		for i := range 30 {
			c.append(name(i), Opened{Owner: "before"}, Deposited{Cents: 1})
		}
		rows, sums := c.projector(c.balances()), c.projector(c.totals())
		copied := c.totals()
		copied.Name = "totals_of_the_log"
		fromLog := c.new(copied)
		for _, p := range []*projections.Projector{rows, sums, fromLog} {
			start(t, p)
		}
		c.untilReading(rows)
		c.untilReading(sums)
		stopRelay := c.relay(mangled())
		for range 3 {
			for i := range 300 {
				c.append(name(i%41), Deposited{Cents: int64(i)}, Withdrawn{Cents: int64(i % 5)})
			}
		}
		last := c.append("a-1", Deposited{Cents: 1})
		stopRelay()
		for _, p := range []*projections.Projector{rows, sums, fromLog} {
			c.wait(p, last)
		}
		c.untilRead(rows)
		c.untilRead(sums)
		c.wantBalances("balances.balances")
		c.wantTotals("totals.totals")
		c.wantTotals("totals_of_the_log.totals")
		c.wantApplied("balances")
		c.wantApplied("totals")
		s := c.status(sums)
		if s.Lag != 0 || s.Foreign != 0 || s.Lanes != 0 || s.Source != "kafka topic "+c.category || s.Position >= last {
			t.Fatalf("%+v: the events were to come from Kafka", s)
		}
		c.rebuildEqual(sums)
	})
}

func TestKafka_begins_at_the_end_of_the_topic(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		for i := range 20 {
			c.append(name(i), Opened{Owner: "ann"})
		}
		c.publish(c.history()...)
		p := c.projector(c.totals())
		stop := start(t, p)
		c.untilReading(p)
		if n := c.offsets(p); n != c.sent {
			t.Fatalf("it begins at %d of %d messages", n, c.sent)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		last := c.append("a-1", Deposited{Cents: 1}) // while nobody runs
		c.publish(c.history()[20:]...)
		start(t, p)
		c.wait(p, last)
		c.untilRead(p)
		c.wantTotals("totals.totals")
	})
}

func TestKafka_lost_tail_is_found(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		c.append("a-1", Opened{Owner: "ann"})
		p := c.projector(c.totals(), projections.WithLogCheck(often))
		start(t, p)
		c.untilReading(p)
		for i := range 10 {
			last := c.append(name(i%3), Deposited{Cents: 1}) // never published
			c.wait(p, last)
		}
		c.wantTotals("totals.totals")
		if source := c.source(p); !readsKafka(source) {
			t.Fatal(source)
		}
		until(t, "the position moves over what is applied", func() bool { return c.status(p).Position == c.history()[10].Position })
	})
}

func TestKafka_topic_deleted_and_made_anew(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		p := c.projector(c.totals(), projections.WithLogCheck(often))
		start(t, p)
		for i := range 50 {
			c.append(name(i%7), Deposited{Cents: int64(i)})
		}
		c.untilReading(p)
		c.publish(c.history()...)
		c.untilRead(p)

		c.deleteTopic()
		c.wait(p, c.append("a-1", Deposited{Cents: 100})) // without a topic
		c.makeTopic()
		c.sent = 0
		until(t, "the new topic is read from its beginning", func() bool { return c.offsets(p) == 0 })
		history := c.history()
		c.publish(history[len(history)-5:]...) // duplicates
		after := c.append("a-2", Deposited{Cents: 100})
		c.publish(c.history()[len(history):]...)
		c.wait(p, after)
		c.untilRead(p)
		c.wantTotals("totals.totals")
		c.wantApplied("totals")
	})
}

func TestKafka_without_a_topic_or_a_broker_the_log_is_followed(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		missing := c.totals()
		missing.Categories = append(missing.Categories, c.category+"-later") // one of two is not there yet
		p := c.projector(missing, projections.WithLogCheck(often))
		alone := c.new(c.balances(), projections.FromKafka(newClient(t, "127.0.0.1:1")))
		start(t, p)
		start(t, alone)
		last := c.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1})
		c.wait(p, last)
		c.wait(alone, last)
		until(t, "the status says why", func() bool { return strings.HasPrefix(c.source(alone), "log, as kafka topic "+c.category) })
		c.untilReading(p)

		ctx := within(t, 20e9)
		later := kafka.Topic{Name: c.category + "-later", Partitions: 2}
		if err := c.client.EnsureTopics(ctx, later); err != nil {
			t.Fatal(err)
		}
		until(t, "the new topic is read too", func() bool {
			return c.number(`select count(*) from asof.offsets where topic = $1`, later.Name) == 2
		})
		c.wait(p, c.append("a-1", Deposited{Cents: 2}))
		c.wantTotals("totals.totals")
		c.wantBalances("balances.balances")
	})
}

func TestKafka_messages_of_others_are_counted_and_skipped(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	other := *c // two stores, one topic
	other.world = newWorld(t)
	other.category = c.category
	p, q := c.projector(c.totals()), projections.New(other.store, c.totals(), projections.FromKafka(c.client, projections.WithLogCheck(never)))
	start(t, p)
	start(t, q)
	c.append("a-1", Opened{Owner: "ann"})
	other.append("a-1", Deposited{Cents: 1000}, Deposited{Cents: 1000}, Deposited{Cents: 1000})
	c.untilReading(p)
	other.untilReading(q)
	foreign := c.history()[0]
	foreign.ID, foreign.Version, foreign.Position = es.NewID(), 2, 2
	broken := kafka.FromEvent(eventSource, c.category, c.history()[0])
	broken.Headers[1].Value = []byte("no uuid")
	c.send(kafka.Message{Topic: c.category, Key: []byte("a-1"), Value: []byte(`{"Cents": 5}`)}, broken)
	c.publish(foreign)
	c.publish(other.history()...)
	c.publish(c.history()...)
	last := c.append("a-1", Deposited{Cents: 7})
	c.publish(c.history()[1:]...)
	c.wait(p, last)
	c.untilRead(p)
	c.wantTotals("totals.totals")
	if s := c.status(p); s.Foreign != 6 || s.Skipped != 0 {
		t.Fatalf("%+v: want 6 messages of others", s)
	}
	until(t, "the other store has read all", func() bool { return other.offsets(q) == c.sent })
	other.wantTotals("totals.totals")

	named := c.balances() // another source is told by its name
	s := c.projector(named, projections.WithEventSource("/others"))
	start(t, s)
	c.untilReading(s)
	c.append("a-2", Deposited{Cents: 7})
	c.publish(c.history()[2:]...)
	c.untilRead(s)
	if n := c.number(`select count(*) from balances.balances where account = 'a-2'`); n != 0 || c.status(s).Foreign != 1 {
		t.Fatalf("%d rows, %+v", n, c.status(s))
	}
}

func TestKafka_topics_with_a_prefix(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	prefix := c.category[:10]
	def := c.totals()
	def.Categories = []string{c.category[10:]}
	c.append("a-0", Opened{Owner: "of another category"})
	p := c.projector(def, projections.WithTopicPrefix(prefix), projections.WithEventSource(eventSource))
	start(t, p)
	c.untilReading(p)
	last := c.appendData(es.StreamID{Category: def.Categories[0], ID: "a-1"}, es.EventData{ID: es.NewID(), Type: "account.deposited", Data: []byte(`{"Cents":3}`)})
	c.publish(c.history()[1:]...)
	c.wait(p, last)
	if n := c.number(`select cents from totals.totals where bucket = 'all'`); n != 3 {
		t.Fatal(n)
	}
}

func TestKafka_needs_categories_and_a_client(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for text, p := range map[string]*projections.Projector{
		"needs Categories": c.new(totals(), projections.FromKafka(c.client)),
		"needs a client":   c.new(c.totals(), projections.FromKafka(nil)),
		"WithLogCheck":     c.new(c.totals(), projections.FromKafka(c.client, projections.WithLogCheck(0))),
	} {
		if err := p.Run(t.Context()); !errors.Is(err, projections.ErrInvalid) || !contains(err, text) {
			t.Errorf("want %q, got %v", text, err)
		}
	}
}

func TestKafka_what_was_published_before_it_reads_comes_from_the_log(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		if err := c.new(c.totals()).Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		events := make([]Event, 50)
		for i := range events {
			events[i] = Deposited{Cents: int64(i)}
		}
		for i := range 40 {
			c.append(name(i), events...)
		}
		c.publish(c.history()...)
		p := c.new(c.totals(), projections.WithBatch(5), projections.FromKafka(c.client, projections.WithLogCheck(never)))
		start(t, p)
		c.untilReading(p)
		c.wantTotals("totals.totals")
		if n := c.offsets(p); n != c.sent {
			t.Fatalf("it begins at %d of %d messages", n, c.sent)
		}
	})
}

// The position moves over events that are not to be applied, and counts them once, though
// another process has moved it meanwhile.
func TestKafka_position_that_another_process_has_moved(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	moved := false
	var told told
	tracer := &between{after: "select count(*), (select event_id from", do: func() {
		moved = true
		c.exec(`update asof.lanes set position = 1, event_id = (select event_id from asof.events where position = 1), events = 1, counter = counter + 1`)
	}}
	p := c.newOn(c.otherPool(tracer), c.totals(), projections.FromKafka(c.client, projections.WithLogCheck(often)), projections.WithLogger(slog.New(slog.NewTextHandler(&told, nil))))
	stop := start(t, p)
	c.untilReading(p)
	data := make([]es.EventData, 3)
	for i := range data {
		data[i] = es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)}
	}
	last := c.appendData(es.StreamID{Category: "note", ID: "n-1"}, data...)
	until(t, "the position is the last one", func() bool { return c.status(p).Position == last })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := c.number(`select events from asof.lanes`); n != 3 || !moved {
		t.Errorf("%d events are counted, want 3", n)
	}
	if text := told.String(); strings.Contains(text, "Kafka did not bring") {
		t.Errorf("events of another category are looked for:\n%s", text)
	}
}

// What was read of the log before the read model was put back is not all that it lacks.
func TestKafka_read_model_that_is_put_back_while_the_log_is_read(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	s := stallAt(t, "select counter from")
	p := c.newOn(c.otherPool(s), c.totals(), projections.FromKafka(c.client, projections.WithLogCheck(often)))
	t.Cleanup(s.goOn)
	start(t, p)
	c.untilReading(p)
	first := c.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1})
	until(t, "it is applied", func() bool { return c.status(p).Position == first })
	reached := make(chan struct{})
	go func() { defer close(reached); s.wait(t) }()
	last := c.append("a-2", Deposited{Cents: 2})
	<-reached // it has read the event
	c.exec(`update asof.lanes set position = 0, event_id = null, events = 0; delete from asof.dedup; delete from asof.sums; delete from totals.totals`)
	s.goOn()
	c.wait(p, last)
	c.wantTotals("totals.totals")
	c.wantApplied("totals")
}

// An append that stays open keeps the look at the log back, and neither that nor Kafka stops.
func TestKafka_beside_an_append_that_stays_open(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	var told told
	p := c.new(c.totals(), projections.FromKafka(c.client, projections.WithLogCheck(often)), projections.WithLogger(slog.New(slog.NewTextHandler(&told, nil))))
	start(t, p)
	c.untilReading(p)
	tx, err := c.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	data, err := c.codec.Encode(t.Context(), es.StreamID{}, Deposited{Cents: 1})
	if err == nil {
		_, err = c.store.InTx(tx).Append(t.Context(), c.stream("slow"), es.Any, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.append("a-1", Deposited{Cents: 2}) // behind it
	rest(t.Context(), 5*often)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.wait(p, c.append("a-1", Deposited{Cents: 4}))
	c.wantTotals("totals.totals")
	if text := told.String(); strings.Contains(text, "deadline") {
		t.Error(text)
	}
}

// Each partition names the last event of the log that it has brought, whatever comes again.
func TestKafka_offset_names_the_last_event(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	p := c.projector(c.totals())
	start(t, p)
	c.untilReading(p)
	last := c.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1}, Deposited{Cents: 2})
	e := c.history()
	for _, brought := range [][]es.RecordedEvent{{e[0], e[1], e[2], e[0]}, {e[1]}} {
		c.publish(brought...)
		c.untilRead(p)
		if n := c.number(`select count(*) from asof.offsets join asof.events using (position, event_id) where position = $1`, int64(last)); n != 1 {
			t.Errorf("it names another event after %d messages", c.sent)
		}
	}
}

// What is not applied is counted, whether it stands before what Kafka has brought or behind,
// and though it is more than is read at once.
func TestKafka_lag_is_all_that_is_not_applied(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		p := c.projector(c.totals())
		stop := start(t, p)
		c.untilReading(p)
		first := c.append("a-1", Opened{Owner: "ann"})
		events := make([]Event, 1_000)
		for n := range events {
			events[n] = Deposited{Cents: 1}
		}
		for range 5 {
			c.append("a-1", events...)
		}
		c.note("n-1")
		last := c.tell("a-2", Opened{Owner: "bob"})
		until(t, "the last is brought", func() bool { return c.number(`select max(position) from asof.offsets`) == int64(last) })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		log := c.logged()
		log.exec(`alter table asof.events disable trigger user`)
		log.exec(`update asof.events set recorded_at = recorded_at - interval '1 hour' where position = $1`, int64(first))
		if s := c.status(p); s.Lag != 5_001 || s.Behind < time.Hour || s.Behind > 2*time.Hour {
			t.Errorf("%+v: want a lag of 5001, and of an hour", s)
		}
		c.append("a-2", Deposited{Cents: 1})
		if s := c.status(p); s.Lag != 5_002 || s.Behind < time.Hour {
			t.Errorf("%+v: want a lag of 5002, and of an hour", s)
		}
	})
}

// An event that is parked between the two looks of a wait is not taken for applied.
func TestKafka_WaitFor_sees_what_is_parked_while_it_looks(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		def := c.balances()
		def.Table = strings.Replace(def.Table, "cents bigint not null", "cents bigint not null check (cents < 1000)", 1)
		p := c.projector(def)
		c.append("a-1", Opened{Owner: "ann"})
		start(t, p)
		c.untilReading(p)
		last := c.append("a-1", Deposited{Cents: 5000})
		parks := &meanwhile{at: "cross join lateral", do: func() { // what is applied is looked up
			c.publish(c.history()[1:]...)
			until(t, "it is parked", func() bool { return c.number(`select count(*) from asof.parked`) == 1 })
		}}
		waiter := c.newOn(c.otherPool(parks), def, projections.FromKafka(c.client))
		var parked *projections.ParkedError
		if err := waiter.WaitFor(within(t, patient), last); !errors.As(err, &parked) {
			t.Errorf("waited for what is parked: %v", err)
		}
	})
}
