package projections_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

// The database of the read models is killed under load, and its standby, which lags, takes its
// place: it takes no writes at first, then it is promoted. The read models go on from where the
// standby has them, by themselves, and have each event once.
func TestStandby_that_lags_is_promoted_under_a_projector(t *testing.T) {
	t.Parallel()
	fromLog := func(c *cluster) *projections.Projector { return c.new(c.totals(), projections.WithBatch(20)) }
	fromKafka := func(c *cluster) *projections.Projector {
		return c.new(c.totals(), projections.WithBatch(20), projections.FromKafka(c.client, projections.WithLogCheck(often)))
	}
	alone := func(c *cluster) *projections.Projector {
		return projections.New(projections.In(c.pool, "asof"), c.totals(), projections.WithBatch(20), projections.FromKafka(c.client, projections.WithLogCheck(often)))
	}
	for name, s := range map[string]struct {
		projector func(*cluster) *projections.Projector
		kafka     bool
	}{"of the log": {fromLog, false}, "of a topic, and the log": {fromKafka, true}, "of topics alone": {alone, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := embeddedtest.Server(t)
			c := newClusterOn(t, newWorldOn(t, pgstoretest.Open(t, server.URL())), pgstoretest.New(t))
			c.life = c.lifeOfLog()
			p := s.projector(c)
			start(t, p)
			applied := func() int64 { return c.number(`select coalesce(sum(events), 0)::bigint from asof.sums`) }
			more := func(what string) int64 {
				from := applied()
				until(t, what, func() bool { return applied() > from+100 })
				return applied()
			}
			stopRelay := c.relay(asIs)
			if s.kafka {
				c.untilReading(p)
			}
			stopWriting := c.stubborn(2)
			more("it applies")
			standby := server.Standby("s1")
			standby.Stop()
			had := more("it applies what the standby does not have")
			server.Kill()
			standby.TakeAddress(server)
			c.pool.Reset() // of sessions that do not know yet
			if has := applied(); has >= had {
				t.Fatalf("the standby has %d events, and the primary had %d: the test shows nothing", has, had)
			}
			standby.Promote()
			more("it goes on")
			stopWriting()
			stopRelay()
			history := c.history()
			until(t, "all is applied", func() bool { return applied() == int64(len(history)) })
			c.wantTotals("totals.totals")
			c.wantApplied("totals")
			if n := c.number(`select count(*) from asof.parked`); n != 0 {
				t.Errorf("%d events are parked, as the standby took no writes", n)
			}
		})
	}
}

func (c *cluster) lifeOfLog() uuid.UUID {
	c.Helper()
	life, err := c.store.Life(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	return life
}
