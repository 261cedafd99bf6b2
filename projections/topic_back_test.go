package projections_test

import (
	"fmt"
	"testing"
)

// Behind a pooler the read model's database is put back, and no session of the projector ends:
// what was read since then is read again, also of streams that get no more events.
func TestTopics_alone_are_read_again_when_the_read_model_is_put_back_under_its_sessions(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	next := 0
	tell := func() { // to every partition
		for n := range 8 * partitions {
			g.append(fmt.Sprintf("a-%d-%d", next, n), Deposited{Cents: int64(n)})
		}
		g.tell(eventSource, g.life, g.history()[next*8*partitions:]...)
		next++
	}
	tell()
	p := g.projector(g.totals())
	start(t, p)
	g.untilAll(p)
	tables := []string{"asof.lanes", "asof.dedup", "asof.offsets", "asof.sums", "totals.totals"}
	g.target.exec(`create schema kept`)
	for i, table := range tables {
		g.target.exec(fmt.Sprintf(`create table kept.t%d as table %s`, i, table))
	}
	tell()
	g.untilAll(p)
	back := `begin; select from asof.builds for update;`
	for i, table := range tables {
		back += fmt.Sprintf(`delete from %s; insert into %[1]s table kept.t%d;`, table, i)
	}
	g.target.exec(back + `commit`)
	tell()
	g.untilAll(p)
	g.wantTotals()
}
