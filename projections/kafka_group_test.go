package projections_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// process starts a projector of totals in a process of its own.
func (c *cluster) process() *os.Process {
	c.Helper()
	ctx, cancel := context.WithCancel(c.Context())
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), projectorVariable+"="+strings.Join(append([]string{c.pool.Config().ConnString(), c.category}, c.brokers...), " "))
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	return cmd.Process
}

func TestKafka_killed_member_is_replaced(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.append("a-1", Opened{Owner: "ann"})
	victim := c.process()
	p := c.projector(c.totals())
	c.untilReading(p)
	stopRelay, stopWriting := c.relay(asIs), c.load(2)
	read := func(more int64) {
		t.Helper()
		from := c.offsets(p)
		until(t, "messages are read", func() bool { return c.offsets(p) > from+more })
	}
	read(100)
	start(t, p) // shares the partitions with it
	read(2000)
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	read(1000)
	last := stopWriting()
	stopRelay()
	c.wait(p, last)
	c.untilRead(p)
	c.wantTotals("totals.totals")
	c.wantApplied("totals")
	if s := c.status(p); s.Position >= last {
		t.Fatalf("%+v: the events were to come from Kafka", s)
	}
}

func TestKafka_members_come_and_go(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		c.append("a-1", Opened{Owner: "ann"})
		first := c.projector(c.totals())
		stopFirst := start(t, first)
		c.untilReading(first)
		stopRelay, stopWriting := c.relay(mangled()), c.load(3)
		for range 2 {
			second := c.newOn(c.otherPool(nil), c.totals(), projections.WithBatch(200), projections.FromKafka(newClient(t, c.brokers...), projections.WithLogCheck(never)))
			stop := start(t, second)
			from := c.offsets(first)
			until(t, "messages are read", func() bool { return c.offsets(first) > from+500 })
			if err := stopFirst(); err != nil {
				t.Fatal(err)
			}
			first, stopFirst = second, stop
			from = c.offsets(first)
			until(t, "messages are read", func() bool { return c.offsets(first) > from+500 })
		}
		last := stopWriting()
		stopRelay()
		c.publish(c.lasts()...) // the mangled relay keeps the last of each page only
		c.wait(first, last)
		c.untilRead(first)
		c.wantTotals("totals.totals")
		c.wantApplied("totals")
	})
}

// lasts is the last event of each stream.
func (c *cluster) lasts() []es.RecordedEvent {
	c.Helper()
	byStream := map[es.StreamID]es.RecordedEvent{}
	for _, e := range c.history() {
		byStream[e.Stream] = e
	}
	var list []es.RecordedEvent
	for _, e := range byStream {
		list = append(list, e)
	}
	return list
}

func TestKafka_rebuild_under_load_is_not_noticed(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		for i := range 100 {
			c.append(name(i), Opened{Owner: "ann"}, Deposited{Cents: 5})
		}
		p := c.projector(c.totals(), projections.WithLogCheck(time.Second))
		start(t, p)
		c.untilReading(p)
		stopReading := c.watch(`select events from totals.totals where bucket = 'all'`)
		stopRelay, stopWriting := c.relay(asIs), c.load(3)
		other := c.new(c.totals()) // as another process
		for round := range 3 {
			var last projections.Progress
			if err := other.Rebuild(t.Context(), projections.WithProgress(func(p projections.Progress) { last = p })); err != nil {
				t.Fatal(err)
			}
			if last.Phase != "live" || !last.Compared || last.Differing != 0 {
				t.Fatalf("round %d: %+v", round, last)
			}
			from := c.offsets(p) // the new build's, which go on where the old one's were
			until(t, "the new build reads Kafka", func() bool { return c.offsets(p) > from+100 && readsKafka(c.source(p)) })
		}
		last := stopWriting()
		stopRelay()
		c.wait(p, last)
		c.untilRead(p)
		if reads := stopReading(); reads < 100 {
			t.Fatalf("only %d reads", reads)
		}
		c.wantTotals("totals.totals")
		c.wantApplied("totals")
		c.rebuildEqual(p)
	})
}

func TestKafka_version_is_raised_while_messages_come(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		old := c.balances()
		v1 := c.projector(old)
		ended := make(chan error, 1)
		go func() { ended <- v1.Run(t.Context()) }()
		c.append("a-1", Opened{Owner: "ann"})
		c.untilReading(v1)
		stopRelay := c.relay(asIs)
		c.wait(v1, c.append("a-1", Deposited{Cents: 5}))
		newer := balances2()
		newer.Categories, newer.Order = old.Categories, projections.OneStream
		v2 := c.projector(newer)
		start(t, v2)
		until(t, "version 2 is live", func() bool { return c.status(v2).Version == 2 })
		for range 20 {
			c.wait(v2, c.append("a-1", Withdrawn{Cents: 1}))
		}
		stopRelay()
		if n := c.number(`select moves from balances.balances where account = 'a-1'`); n != 22 {
			t.Fatalf("%d moves", n)
		}
		select {
		case err := <-ended:
			if !contains(err, "is live and this program has version 1") {
				t.Fatal(err)
			}
		case <-within(t, 20*time.Second).Done():
			t.Fatal("the old program did not stop")
		}
	})
}

func TestKafka_zombie_writes_nothing(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		c.append("a-1", Opened{Owner: "ann"})
		s := stallAt(t, "set next_offset = $5")
		sleepy := c.otherPool(s)
		t.Cleanup(s.goOn)
		zombie := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		asleep := c.newOn(sleepy, c.totals(), projections.FromKafka(c.client, projections.WithLogCheck(never)))
		go func() { zombie <- asleep.Run(ctx) }()
		c.untilReading(asleep)
		last := c.append("a-1", Deposited{Cents: 3})
		s.armed.Store(true)
		c.publish(c.history()...)
		s.wait(t) // it holds the build's lock, with its writes still to be sent
		c.exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'sleepy'`)
		if n := c.offsets(asleep); n != 0 {
			t.Fatalf("the offset moved to %d without the rows", n)
		}
		p := c.new(c.totals(), projections.FromKafka(newClient(t, c.brokers...), projections.WithLogCheck(never)))
		start(t, p)
		c.wait(p, last)
		s.goOn()
		last = c.append("a-2", Deposited{Cents: 4})
		c.publish(c.history()[2:]...)
		c.wait(p, last)
		cancel()
		if err := <-zombie; err != nil {
			t.Fatal(err)
		}
		c.untilRead(p)
		c.wantTotals("totals.totals")
	})
}

func TestKafka_offset_that_another_process_moved_does_not_go_back(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		c.append("a-1", Opened{Owner: "ann"})
		p := c.projector(c.totals())
		start(t, p)
		c.untilReading(p)
		c.publish(c.history()...)
		c.untilRead(p)
		c.exec(`update asof.offsets set next_offset = next_offset + 5`) // a rebalance has happened, and p does not know
		last := c.append("a-1", Deposited{Cents: 3})
		c.publish(c.history()[1:]...)
		c.wait(p, last)
		if n := c.offsets(p); n != 1+5*partitions {
			t.Fatalf("offsets %d, want %d", n, 1+5*partitions)
		}
		c.exec(`update asof.offsets set next_offset = 0`) // the topic was made anew
		c.publish(c.history()...)
		last = c.append("a-1", Deposited{Cents: 4})
		c.publish(c.history()[2:]...)
		c.wait(p, last)
		c.untilRead(p)
		c.wantTotals("totals.totals")
	})
}
