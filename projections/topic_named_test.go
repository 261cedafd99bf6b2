package projections_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

// topic makes one more topic, of so many partitions.
func (c *cluster) topic(count int) string {
	c.Helper()
	name := "copy-" + uuid.NewString()
	if err := c.client.EnsureTopics(within(c, 20*time.Second), kafka.Topic{Name: name, Partitions: count}); err != nil {
		c.Fatal(err)
	}
	return name
}

// tellTo is tell, to another topic than the category's.
func (g *guest) tellTo(topic string, events ...es.RecordedEvent) {
	g.Helper()
	for _, e := range events {
		m := g.message(e)
		m.Topic = topic
		g.send(m)
	}
}

func (g *guest) reads(topics ...string) projections.Option {
	return projections.FromKafka(g.client, projections.WithLogCheck(often), projections.WithTopics(topics...))
}

// A topic is copied to one of another name and other partitions, and read in its place; then
// both are read. A stream is what it was, so nothing is applied twice.
func TestTopics_alone_are_read_by_any_name(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for n := range 20 {
		g.append(name(n%5), Opened{Owner: "ann"}, Deposited{Cents: int64(n)})
	}
	g.tell(eventSource, g.life, g.history()...)
	p := g.projector(g.totals())
	stop := start(t, p)
	g.untilAll(p)
	g.wantTotals()
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	moved := g.topic(3)
	g.tellTo(moved, g.history()...)
	before := len(g.history())
	g.append(name(1), Deposited{Cents: 1000})
	g.tellTo(moved, g.history()[before:]...)
	p = projections.New(g.in(), g.totals(), g.reads(moved))
	stop = start(t, p)
	g.untilAll(p)
	g.wantTotals()
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	before = len(g.history())
	g.append(name(2), Deposited{Cents: 1}, Deposited{Cents: 10})
	last := g.history()[before:]
	g.tellTo(moved, last...)
	g.tell(eventSource, g.life, last...)
	p = projections.New(g.in(), g.totals(), g.reads(moved, g.category, moved))
	start(t, p)
	g.untilAll(p)
	g.wantTotals()
	if s := g.status(p); s.Source != "kafka topics "+moved+", "+g.category {
		t.Errorf("%+v", s)
	}
	if err := p.Rebuild(t.Context()); err != nil { // from both
		t.Fatal(err)
	}
	g.untilAll(p)
	g.wantTotals()
	if s := g.status(p); s.Gaps != nil || s.Foreign != 0 {
		t.Errorf("%+v", s)
	}
}

// As above with a log behind the topics.
func TestKafka_topics_are_read_by_any_name(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		c.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1})
		moved := c.topic(2)
		p := c.projector(c.totals(), projections.WithTopics(moved, c.category))
		start(t, p)
		until(t, "both topics are read", func() bool {
			return c.number(`select count(*) from asof.offsets`) == 2+partitions && c.members(p) > 0
		})
		last := c.append("a-1", Deposited{Cents: 10})
		e := c.history()[2]
		copied := c.message(e)
		copied.Topic = moved
		c.send(copied, c.message(e), copied)
		c.wait(p, last)
		until(t, "all messages are read", func() bool {
			return c.number(`select sum(next_offset) from asof.offsets`) == 3
		})
		c.wantTotals("totals.totals")
		c.wantApplied("totals")
	})
}

// A topic may have events of several categories, and of others' streams of the same id.
func TestTopics_alone_leave_alone_what_is_of_another_category(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	g.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	e := g.history()
	other := e[1]
	other.Stream.Category, other.ID = "others", es.NewID()
	shared := g.topic(1)
	g.tellTo(shared, e[0], other, e[1])
	p := projections.New(g.in(), g.totals(), g.reads(shared))
	start(t, p)
	g.untilAll(p)
	g.wantTotals()
	if s := g.status(p); s.Foreign != 1 || s.Gaps != nil {
		t.Errorf("%+v", s)
	}
}

// A stream may wait in several partitions, and in each for what another has: each is read again
// when it has come, until the stream is whole. So too in a rebuild, whichever it reads first.
func TestTopics_alone_put_together_a_stream_from_pieces(t *testing.T) {
	t.Parallel()
	for what, pieces := range map[string][][]int{
		"by turns":          {{0, 2, 4}, {1, 3, 5}},
		"the last first":    {{4, 5}, {2, 3}, {0, 1}},
		"the first between": {{4, 5}, {0, 1}, {2, 3}},
		"all but one":       {{1, 2, 3, 4, 5}, {0}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t)
			g.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 10}, Deposited{Cents: 100}, Deposited{Cents: 1000}, Deposited{Cents: 10_000}, Deposited{Cents: 100_000})
			e := g.history()
			var topics []string
			for range pieces {
				topics = append(topics, g.topic(1))
			}
			p := projections.New(g.in(), g.totals(), projections.FromKafka(g.client, projections.WithLogCheck(never), projections.WithTopics(topics...)))
			start(t, p)
			until(t, "it reads", func() bool {
				return g.target.number(`select count(*) from asof.offsets`) == int64(len(topics))
			})
			for i, piece := range pieces {
				for _, n := range piece {
					g.tellTo(topics[i], e[n])
				}
				g.untilAll(p)
			}
			until(t, "it waits no more", func() bool { return g.status(p).Gaps == nil })
			g.wantTotals()
			apart := newWorldOn(t, pgstoretest.New(t))
			other := projections.New(projections.In(apart.pool, "asof"), g.totals(), g.reads(topics...))
			if err := other.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			s, err := other.Status(t.Context())
			if err != nil || s.Gaps != nil {
				t.Errorf("rebuilt: %+v, %v", s.Gaps, err)
			}
			same(t, g.foldTotals(e), tableOf(apart, "totals.totals", byBucket))
		})
	}
}

// What a stream waits for may come by another partition than the one in which it waits, also
// to another process.
func TestTopics_alone_end_a_gap_that_another_partition_fills(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"here", "in another process"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t)
			g.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 10}, Deposited{Cents: 100})
			e := g.history()
			one, two := g.topic(1), g.topic(1)
			p, q := projections.New(g.in(), g.totals(), g.reads(two)), projections.New(g.in(), g.totals(), g.reads(one))
			if what == "here" {
				p = projections.New(g.in(), g.totals(), projections.FromKafka(g.client, projections.WithLogCheck(never), projections.WithTopics(one, two)))
			}
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			start(t, p)
			if what != "here" {
				start(t, q)
			}
			g.tellTo(two, e[0], e[2])
			until(t, "a stream waits", func() bool { s := g.status(p); return s.Gaps != nil && s.Gaps.Streams == 1 })
			g.tellTo(one, e[1])
			until(t, "it waits no more", func() bool { return g.status(p).Gaps == nil })
			g.wantTotals()
		})
	}
}
