package projectiontest_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/projections/projectiontest"
)

// stamped has a trigger that fills a column, and a table of what a clock says.
func stamped() projections.Definition {
	return statements(projections.LogOrder, `
		create table sums (id text primary key, n bigint not null, changed timestamptz);
		create table clock (at timestamptz not null);
		create function stamp() returns trigger language plpgsql as $$ begin new.changed := clock_timestamp(); return new; end $$;
		create trigger stamp before insert or update on sums for each row execute function stamp()`,
		func(b *pgx.Batch, e Counted, r es.Recorded) {
			b.Queue(`insert into sums as s values ($1, $2) on conflict (id) do update set n = s.n + excluded.n`, r.Stream.ID, e.N)
			b.Queue(`insert into clock values (clock_timestamp())`)
		})
}

func TestWithout_leaves_out_columns_and_tables(t *testing.T) {
	t.Parallel()
	store := history(t)
	if got := failures(t, store, stamped()); !strings.Contains(got, `table clock`) || !strings.Contains(got, `projectiontest.Without("clock.at")`) {
		t.Error(got)
	}
	if got := failures(t, store, stamped(), projectiontest.Without("clock")); !strings.Contains(got, `table sums: changed is`) || !strings.Contains(got, `projectiontest.Without("sums.changed")`) {
		t.Error(got)
	}
	projectiontest.Replay(t, store, stamped(), projectiontest.Without("clock", "sums.changed"))
	projectiontest.Replay(t, store, stamped(), projectiontest.Without("clock.at"), projectiontest.Without("sums.changed"))
}

func TestWithout_a_column_that_is_not_there_is_refused(t *testing.T) {
	t.Parallel()
	store := history(t)
	for _, name := range []string{"changed", "sums.chnged", "sum", ""} {
		if got := failures(t, store, stamped(), projectiontest.Without(name)); !strings.Contains(got, "there is no such table or column") {
			t.Errorf("%q: %s", name, got)
		}
	}
}

func TestWithout_columns_rows_are_still_counted(t *testing.T) {
	t.Parallel()
	n := 0
	def := statements(projections.LogOrder, `create table log (at timestamptz not null)`, func(b *pgx.Batch, _ Counted, r es.Recorded) {
		if n++; n%2 == 0 || n < 20 {
			b.Queue(`insert into log values ($1)`, r.RecordedAt)
		}
	})
	if got := failures(t, history(t), def, projectiontest.Without("log.at")); !strings.Contains(got, "table log: it has 25 rows when the events come one by one, and it has 15 rows when all is done again") {
		t.Error(got)
	}
}

func TestSeed_gives_streams_another_order(t *testing.T) {
	t.Parallel()
	store := history(t)
	// It is wrong where the second event of stream 0 comes before the first of stream 3.
	def := inCategory(projections.Commuting, func(s *Sum, _ Counted, r es.Recorded) {
		switch {
		case r.Stream.ID == "3":
			s.N = 1
		case r.Stream.ID == "0" && r.Version == 2 && s.N == 0:
			s.Last = 1
		}
	})
	if got := failures(t, store, def, projectiontest.Seed(4)); !strings.Contains(got, "(seed 4)") {
		t.Error(got)
	}
	if got := failures(t, store, def, projectiontest.Seed(0)); got != "" {
		t.Error(got)
	}
}
