package projections_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/projections"
)

// another is a projector as another process has it.
func (c *cluster) another(def projections.Definition) *projections.Projector {
	return c.newOn(c.otherPool(nil), def, projections.FromKafka(newClient(c, c.brokers...), projections.WithLogCheck(never)))
}

// lanes counts those that have applied something.
func (c *cluster) lanes() int64 {
	return c.number(`select count(*) from asof.lanes l join asof.builds b on b.id = l.build where b.status = 'live' and l.lane > 0 and l.counter > 0`)
}

// tell appends an event, and publishes it.
func (c *cluster) tell(id string, e Event) es.Position {
	c.Helper()
	last := c.append(id, e)
	h := c.history()
	c.publish(h[len(h)-1])
	return last
}

// halves runs balances, with more DDL, in two processes, each of which has partitions of its own. Before an
// event is applied it is given to before.
func (c *cluster) halves(t *testing.T, more string, before func(e Event)) *projections.Projector {
	t.Helper()
	c.append("a-1", Opened{Owner: "ann"})
	var list [2]*projections.Projector
	for n := range list {
		def := c.balances()
		def.Table += more
		inner := def.Apply
		def.Apply = func(row *Balance, e Event, r es.Recorded) {
			before(e)
			inner(row, e, r)
		}
		list[n] = c.another(def)
		start(t, list[n])
	}
	c.untilReading(list[0])
	until(t, "both processes have partitions", func() bool { return c.members(list[0]) == 2 })
	return list[0]
}

// members counts those of a live build's consumer group that have partitions.
func (c *cluster) members(p *projections.Projector) (n int) {
	c.Helper()
	var name string
	if err := c.pool.QueryRow(c.Context(), `
		select format('asof.%s.asof.%s.v%s.%s', current_database(), name, version, left(identity::text, 8)) from asof.builds where name = $1 and status = 'live'`, p.Name()).Scan(&name); err != nil {
		c.Fatal(err)
	}
	admin := &kafkago.Client{Addr: kafkago.TCP(c.brokers...)}
	answer, err := admin.DescribeGroups(within(c, 20*time.Second), &kafkago.DescribeGroupsRequest{GroupIDs: []string{name}})
	if err != nil {
		c.Fatal(err)
	}
	for _, m := range answer.Groups[0].Members {
		if len(m.MemberAssignments.Topics) > 0 {
			n++
		}
	}
	return n
}

// meeting is where two meet who apply an event of seven cents; alone, one does not wait for
// ever.
type meeting struct {
	mu   sync.Mutex
	came int
	met  chan struct{}
}

func newMeeting() *meeting { return &meeting{met: make(chan struct{})} }

func (m *meeting) enter(e Event) {
	if d, of := e.(Deposited); !of || d.Cents != 7 {
		return
	}
	m.mu.Lock()
	m.came++
	if m.came == 2 {
		close(m.met)
	}
	m.mu.Unlock()
	select {
	case <-m.met:
	case <-time.After(2 * time.Second):
	}
}

func (m *meeting) held() bool {
	select {
	case <-m.met:
		return true
	default:
		return false
	}
}

// While one process applies an event, another applies those of its own partitions.
func TestLanes_of_two_processes_are_applied_side_by_side(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		m := newMeeting()
		p := c.halves(t, "", m.enter)
		var last es.Position
		for n := range 4 * partitions {
			last = c.tell(fmt.Sprintf("slow-%d", n), Deposited{Cents: 7})
		}
		c.wait(p, last)
		c.untilRead(p)
		if !m.held() {
			t.Error("no two events were applied at the same time")
		}
		c.wantBalances("balances.balances")
		c.wantApplied("balances")
		if s := c.status(p); s.Lanes != partitions || c.lanes() < 2 {
			t.Errorf("%d lanes, of which %d have applied something: %+v", s.Lanes, c.lanes(), s)
		}
	})
}

// A stream that comes by two partitions, as after their number has changed, is applied once,
// though both lanes apply it at the same time; also where triggers decide what is written, and
// a row does not tell that it was changed.
func TestLanes_that_meet_in_a_stream_apply_its_events_once(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"", `; create function keep() returns trigger language plpgsql as 'begin return new; end';
		create trigger keep before insert or update on balances for each row execute function keep()`} {
		t.Run("with"+more[:min(len(more), 19)], func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			m := newMeeting()
			p := c.halves(t, more, m.enter)
			last := c.append("a-1", Deposited{Cents: 7})
			h := c.history()
			for n := range 8 * partitions { // some in each partition
				message := kafka.FromEvent(eventSource, c.category, h[len(h)-1])
				message.Key = fmt.Appendf(nil, "key %d", n)
				c.send(message)
			}
			c.wait(p, last)
			c.untilRead(p)
			if !m.held() {
				t.Error("no two lanes have met: the test shows nothing")
			}
			c.wantBalances("balances.balances")
			c.wantApplied("balances")
		})
	}
}

// A switch waits for a lane that writes, also where it compares nothing: what one of them
// applies is applied to one build.
func TestLanes_are_waited_for_by_a_switch(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	def := c.balances()
	c.append("a-1", Opened{Owner: "ann"})
	old := c.another(def)
	stopped := make(chan error, 1)
	go func() { stopped <- old.Run(t.Context()) }()
	c.untilReading(old)
	letGo := c.held(`select from balances.balances for update`)
	c.tell("a-1", Deposited{Cents: 7})
	until(t, "a lane has its turn, and waits for the row", func() bool { return c.number(blockedSQL) > 0 })
	verifying := make(chan struct{})
	tell := sync.OnceFunc(func() { close(verifying) })
	newer := balances2()
	newer.Categories, newer.Order = def.Categories, projections.OneStream
	ended := make(chan error, 1)
	go func() {
		ended <- c.new(newer).Rebuild(t.Context(), projections.WithProgress(func(p projections.Progress) {
			if p.Phase == "verifying" {
				tell()
			}
		}))
	}()
	<-verifying
	inAWhile(func() bool { return len(ended) > 0 })
	if len(ended) > 0 {
		t.Error("the build was switched under a lane")
	}
	letGo()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := <-stopped; !errors.Is(err, projections.ErrNewerVersion) {
		t.Errorf("the old program: %v", err)
	}
	if n := c.number(`select moves from balances.balances where account = 'a-1'`); n != 2 {
		t.Errorf("%d moves, want 2", n)
	}
	c.wantApplied("balances")
}

// inAWhile waits for a little until it holds, or goes on.
func inAWhile(holds func() bool) {
	for range 40 {
		if holds() {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
}

// What lanes have parked is bounded for all of them together, and stays parked when the log
// feeds the build again, which has one lane.
func TestLanes_count_together_what_is_parked(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	mended := new(atomic.Bool)
	def := poisonedBalances(mended)
	def.Categories, def.Order = []string{c.category}, projections.OneStream
	c.append("a-1", Opened{Owner: "ann"})
	p := c.new(def, projections.WithParked(3), projections.FromKafka(c.client, projections.WithLogCheck(never)))
	ended := make(chan error, 1)
	go func() { ended <- p.Run(t.Context()) }()
	c.untilReading(p)
	parkedInLanes := func() int64 { return c.number(`select coalesce(sum(parked), 0) from asof.lanes where lane > 0`) }
	for n := range 3 {
		c.tell(fmt.Sprintf("bad-%d", n), Deposited{Cents: failsEverywhere})
		until(t, "it is parked", func() bool { return parkedInLanes() == int64(n+1) })
	}
	c.tell("bad-3", Deposited{Cents: failsEverywhere})
	select {
	case err := <-ended:
		if !errors.Is(err, projections.ErrTooManyParked) {
			t.Fatalf("the fourth of three: %v", err)
		}
	case <-within(t, 20*time.Second).Done():
		t.Fatal("a fourth is parked, of three")
	}
	log := c.new(def)
	start(t, log)
	until(t, "the log feeds it", func() bool { s := c.status(log); return s.Source == "log" && s.Lanes == 0 && s.Parked == 4 })
	mended.Store(true)
	if done, err := log.RetryAll(t.Context()); err != nil || done.Applied != 4 || c.status(log).Parked != 0 {
		t.Errorf("%+v, %v: %+v", done, err, c.status(log))
	}
}

// Lanes of two processes under load, whose members come and go, beside rebuilds, pauses and
// messages that come twice, late or not at all.
func TestLanes_count_once_whoever_comes_and_goes(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.append("a-1", Opened{Owner: "ann"})
	first := c.another(c.balances())
	stopFirst := start(t, first)
	c.untilReading(first)
	stopRelay, stopWriting := c.relay(mangled()), c.load(3)
	readMore := func(messages int64) {
		from := c.offsets(first)
		until(t, "messages are read", func() bool { return c.offsets(first) > from+messages })
	}
	for round := range 3 {
		second := c.another(c.balances())
		stop := start(t, second)
		readMore(300)
		switch round {
		case 0:
			if err := c.new(c.balances()).Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			until(t, "the new build reads Kafka", func() bool { return c.lanes() > 0 && readsKafka(c.source(second)) })
		case 1:
			c.pause(first, "to see it")
			at := c.offsets(first)
			written := c.number(`select max(position) from asof.events`)
			until(t, "more is written", func() bool { return c.number(`select max(position) from asof.events`) > written+100 })
			if now := c.offsets(first); now != at {
				t.Errorf("%d messages were applied while it was paused", now-at)
			}
			c.resume(first)
		}
		readMore(300)
		if err := stopFirst(); err != nil {
			t.Fatal(err)
		}
		first, stopFirst = second, stop
	}
	last := stopWriting()
	stopRelay()
	c.publish(c.lasts()...)
	c.wait(first, last)
	c.untilRead(first)
	c.wantBalances("balances.balances")
	c.wantApplied("balances")
	c.rebuildEqual(first)
}
