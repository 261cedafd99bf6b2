package projections_test

import (
	"testing"

	"github.com/asof-dev/asof/projections"
)

// Events that were lost are published anew, one behind the other: once all have come, the
// stream is whole, without another message.
func TestTopics_alone_are_whole_when_several_lost_events_come_at_once(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"live", "rebuilt"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t)
			p := g.projector(g.balances())
			g.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 10}, Deposited{Cents: 100}, Deposited{Cents: 1000}, Deposited{Cents: 10_000})
			e := g.history()
			g.tell(eventSource, g.life, e[0], e[2], e[4])
			if way == "live" {
				stop := start(t, p)
				g.untilAll(p)
				if err := stop(); err != nil {
					t.Fatal(err)
				}
			}
			g.tell(eventSource, g.life, e[1], e[3]) // one batch
			if way == "live" {
				start(t, p)
			} else if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			g.untilAll(p)
			until(t, "the stream is whole", func() bool { return g.status(p).Gaps == nil })
			same(t, g.foldBalances(e), tableOf(g.target, "balances.balances", byAccount))
		})
	}
}

// As above, and what was lost comes in reverse.
func TestTopics_alone_are_whole_when_what_was_lost_comes_in_reverse(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	g.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 10}, Deposited{Cents: 100}, Deposited{Cents: 1000})
	e := g.history()
	p := g.projector(g.balances(), projections.WithBatch(1))
	start(t, p)
	for _, n := range []int{0, 3, 2, 1} {
		g.tell(eventSource, g.life, e[n])
		g.untilAll(p)
	}
	until(t, "the stream is whole", func() bool { return g.status(p).Gaps == nil })
	same(t, g.foldBalances(e), tableOf(g.target, "balances.balances", byAccount))
}
