package projections_test

import (
	"fmt"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// counter is how many transactions have written to a live build.
func (c *cluster) counter(p *projections.Projector) int64 {
	c.Helper()
	return c.number(`select l.counter from asof.builds b join asof.lanes l on l.build = b.id and l.lane = 0 where b.name = $1 and b.status = 'live'`, p.Name())
}

// everywhere appends an event to streams of every partition, and returns the new events.
func (c *cluster) everywhere(round int) []es.RecordedEvent {
	c.Helper()
	before := len(c.history())
	for i := range 4 * partitions {
		c.append(fmt.Sprintf("a-%d-%d", round, i), Opened{Owner: "ann"})
	}
	return c.history()[before:]
}

// blockedSQL counts who waits, as for the row of the build.
const blockedSQL = `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`

// While a partition's transaction is under way, the others bring more: all that goes with
// the next.
func TestKafka_partitions_that_wait_share_a_transaction(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	p := c.projector(c.totals())
	start(t, p)
	c.untilReading(p)
	const rounds = 10
	before := c.counter(p)
	for round := range rounds {
		events := c.everywhere(round)
		letGo := c.held(`select from asof.builds for update`)
		c.publish(events...)
		until(t, "a batch waits", func() bool { return c.number(blockedSQL) > 0 })
		letGo()
		c.untilRead(p)
	}
	// One for each partition would be 4 in a round; the first that comes and all others are 2.
	if n := c.counter(p) - before; n > 3*rounds {
		t.Errorf("%d transactions for %d rounds of %d partitions", n, rounds, partitions)
	}
	c.wantTotals("totals.totals")
	c.wantApplied("totals")
}

// A gap is noted with the partition that it is of, also where others have brought theirs at
// the same time.
func TestTopics_alone_partitions_that_wait_go_apart_at_gaps(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	p := g.projector(g.totals())
	start(t, p)
	g.untilAll(p)
	for round := range 5 {
		first := g.everywhere(round)
		for _, e := range first {
			g.append(e.Stream.ID, Deposited{Cents: 1})
		}
		history := g.history()
		letGo := g.target.held(`select from asof.builds for update`)
		g.tell(eventSource, g.life, history[len(history)-len(first):]...) // each lacks the first of its stream
		until(t, "a batch waits", func() bool { return g.target.number(blockedSQL) > 0 })
		letGo()
		g.untilAll(p)
		g.tell(eventSource, g.life, first...)
		until(t, "all streams are whole", func() bool { s := g.status(p); return s.Lag == 0 && s.Gaps == nil })
	}
	g.wantTotals()
}

// The versions of the streams of a batch are read by their keys, also while Postgres has no
// statistics of the table.
func TestKafka_a_batch_reads_the_versions_of_its_own_streams_alone(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	p := c.projector(c.totals())
	start(t, p)
	c.untilReading(p)
	streams := int64(0)
	for round := range 30 {
		events := c.everywhere(round)
		streams += int64(len(events))
		c.publish(events...)
		c.untilRead(p)
	}
	until(t, "the statistics are written", func() bool {
		return c.number(`select n_tup_ins from pg_stat_user_tables where relid = 'asof.dedup'::regclass`) >= streams
	})
	read := c.number(`select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables where relid = 'asof.dedup'::regclass`)
	if read > 2*streams {
		t.Errorf("%d rows were read for %d streams that are new", read, streams)
	}
}
