package projections_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// Rows of a table without a primary key have no name: they are compared by how often each is
// there.
func TestRebuild_compares_tables_without_a_primary_key(t *testing.T) {
	t.Parallel()
	for what, damage := range map[string]struct {
		sql  string
		want int64
	}{
		"nothing":           {`select`, 0},
		"a row is gone":     {`delete from entries.entries where ctid = (select min(ctid) from entries.entries)`, 1},
		"a row comes twice": {`insert into entries.entries select * from entries.entries limit 1`, 1},
		"all are otherwise": {`update entries.entries set cents = cents + 1000`, 3},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := projections.New(w.store, projections.Statements[Event]{
				Name: "entries", Version: 1, Codec: codec(),
				Tables: `create table entries (account text not null, cents bigint not null)`,
				Apply: func(b *pgx.Batch, e Event, r es.Recorded) {
					b.Queue(`insert into entries values ($1, $2)`, r.Stream.ID, cents(e))
				},
			})
			w.append("a-1", Deposited{Cents: 5}, Deposited{Cents: 5}, Deposited{Cents: 7})
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.exec(damage.sql)
			var last projections.Progress
			if err := p.Rebuild(t.Context(), projections.WithProgress(func(p projections.Progress) { last = p })); err != nil {
				t.Fatal(err)
			}
			if !last.Compared || last.Differing != damage.want {
				t.Errorf("%+v, want %d rows that differ", last, damage.want)
			}
			if n := w.number(`select sum(cents) from entries.entries`); n != 17 {
				t.Errorf("rebuilt, the rows have %d cents", n)
			}
		})
	}
}
