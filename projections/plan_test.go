package projections_test

import (
	"testing"
)

// A plan that was made for a small table and is kept reads all of a large one, for
// every batch.
func TestBatches_are_planned_for_the_tables_as_they_are(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.target = c.otherPool(nil)
	p := c.projector(c.totals())
	stop := start(t, p)
	c.untilReading(p)
	const batches = 60 // after five, Postgres may keep a plan
	for range batches {
		last := c.append("a-1", Deposited{Cents: 1})
		c.publish(c.history()[c.sent:]...)
		c.wait(p, last)
		c.untilRead(p)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, joins := range []string{"%join lateral%dedup s%", "%with ordinality%", "%asof build%join%"} {
		var kept, made int64
		for _, conn := range c.target.Pool().AcquireAllIdle(t.Context()) {
			var k, m int64
			err := conn.QueryRow(t.Context(), `
				select coalesce(sum(generic_plans), 0)::bigint, coalesce(sum(custom_plans), 0)::bigint
				from pg_prepared_statements where statement like $1`, joins).Scan(&k, &m)
			conn.Release()
			if err != nil {
				t.Fatal(err)
			}
			kept, made = kept+k, made+m
		}
		if kept != 0 || made < batches {
			t.Errorf("%s: planned %d times, kept a plan %d times", joins, made, kept)
		}
	}
}
