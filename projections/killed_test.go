package projections_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

// A database that is killed has committed some of what was under way, and has told nobody.

// kill kills the database of the read models again and again, each time after a projector of
// totals has applied some more: while its batch waits for a row that it is to write, and while
// one is under way somewhere.
func (c *cluster) kill(t *testing.T, server *embeddedtest.TestServer, applied func() int64) {
	t.Helper()
	for round := range 4 {
		from := applied()
		until(t, "more is applied", func() bool { return applied() > from+100 })
		if round%2 == 0 {
			c.held(`select from totals.totals where bucket = 'all' for update`)
			until(t, "a batch waits", func() bool { return c.number(blockedSQL) > 0 })
		} else {
			until(t, "a batch is written", func() bool {
				return c.number(`select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null and query ~ '[.](builds|lanes|sums) '`) > 0
			})
		}
		server.Kill()
		server.Restart()
		until(t, "the database answers", func() bool { return c.pool.Ping(t.Context()) == nil })
		c.pool.Reset() // of sessions that do not know yet
	}
}

// stubborn appends to some accounts until stopped, whatever fails meanwhile.
func (w *world) stubborn(writers int) (stop func()) {
	ctx, cancel := context.WithCancel(w.Context())
	var work sync.WaitGroup
	for n := range writers {
		work.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				data, err := w.codec.Encode(w.Context(), es.StreamID{}, Deposited{Cents: int64(i)})
				if err == nil {
					_, err = w.store.Append(context.WithoutCancel(ctx), w.stream(name(n*100+i%37)), es.Any, data)
				}
				if err != nil { // while the server is down
					<-time.After(5 * time.Millisecond)
				}
				<-time.After(time.Millisecond) // what comes is not to be more than is applied
			}
		})
	}
	return func() { cancel(); work.Wait() }
}

// A projector goes on by itself, and applies each event once: here one that follows the log of
// the same database.
func TestServer_that_is_killed_under_a_projector_of_the_log(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	w := newWorldOn(t, pgstoretest.Open(t, server.URL()))
	c := &cluster{world: w, target: w.store}
	p := c.new(totals(), projections.WithBatch(20))
	start(t, p)
	stop := c.stubborn(3)
	until(t, "it is built", func() bool { s, err := p.Status(t.Context()); return err == nil && s.Build != 0 })
	c.kill(t, server, func() int64 { return int64(c.status(p).Position) })
	stop()
	history := c.history()
	c.wait(p, history[len(history)-1].Position)
	c.wantTotals("totals.totals")
	c.wantApplied("totals")
}

// Here one that a topic feeds, whose log lies in another database.
func TestServer_that_is_killed_under_a_projector_of_a_topic(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	c := newClusterOn(t, newWorldOn(t, pgstoretest.Open(t, server.URL())), pgstoretest.New(t))
	c.append("a-1", Opened{Owner: "ann"})
	p := c.new(c.totals(), projections.WithBatch(100), projections.FromKafka(c.client, projections.WithLogCheck(never)))
	start(t, p)
	c.untilReading(p)
	stopRelay, stopWriting := c.relay(mangled()), c.stubborn(2)
	c.kill(t, server, func() int64 { return c.offsets(p) })
	stopWriting()
	stopRelay()
	history := c.history()
	c.publish(c.lasts()...) // the mangled relay keeps the last of each page only
	c.wait(p, history[len(history)-1].Position)
	c.untilRead(p)
	c.wantTotals("totals.totals")
	c.wantApplied("totals")
}
