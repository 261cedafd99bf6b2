package migrations_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/migrations"
)

// The books of the read side go down to the tables that they were in, and up again, with
// all that stands in them.
func TestBooks_are_taken_along(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	must(t, migrations.Up(t.Context(), pool))
	exec(t, pool, `insert into asof.events (position, category, stream_id, version, event_id, type, schema_version, data, metadata, recorded_at)
		select n, (array['a', 'b'])[1 + n % 2], (n % 3)::text, 1 + n / 6, gen_random_uuid(), 't', 1, '{}', '', now() from generate_series(0, 29) n`)
	exec(t, pool, `insert into asof.builds (name, version, status, schema_name, fingerprint, kind, source, total, failure, epoch)
		values ('x', 1, 'retired', 'x_v1_b1', 'f1', 'log', 'log', 7, 'disk full', 3), ('x', 2, 'live', 'x', 'f2', 'log', 'log', 0, null, 1),
		       ('y', 1, 'live', 'y', 'f3', 'kafka', 'kafka topic a', 0, null, 2)`)
	exec(t, pool, `insert into asof.lanes (build, lane, position, event_id, counter, events, skipped, foreign_messages)
		select id, 0, case id when 1 then 12 when 2 then 29 else 5 end, null, 0, 8, id, case id when 3 then 4 else 0 end from asof.builds`)
	exec(t, pool, `update asof.lanes l set event_id = (select event_id from asof.events where position = l.position)`)
	// y has only a, and of one stream more than its position says.
	exec(t, pool, `insert into asof.dedup (build, category, stream_id, version) values (3, 'a', '0', 4), (3, 'a', '2', 1)`)
	exec(t, pool, `insert into asof.offsets (build, topic, partition, next_offset, position) values (3, 'a', 0, 9, 18)`)
	exec(t, pool, `insert into asof.sums (build, lane, category, events, hash)
		select b.id, 0, e.category, count(*), bit_xor(uuid_hash_extended(e.event_id, 0))
		from asof.builds b join asof.lanes l on l.build = b.id join asof.events e on b.kind = 'log' and e.position <= l.position
		   or exists (select from asof.dedup d where d.build = b.id and d.category = e.category and d.stream_id = e.stream_id and e.version <= d.version)
		group by b.id, e.category`)
	books := func() map[string][]string {
		return map[string][]string{
			"builds":  texts(t, pool, `select (to_jsonb(b))::text from asof.builds b order by id`),
			"lanes":   texts(t, pool, `select (to_jsonb(l))::text from asof.lanes l order by build`),
			"sums":    texts(t, pool, `select (to_jsonb(s))::text from asof.sums s order by build, category`),
			"dedup":   texts(t, pool, `select (to_jsonb(d))::text from asof.dedup d order by build, category, stream_id`),
			"offsets": texts(t, pool, `select (to_jsonb(o))::text from asof.offsets o`),
		}
	}
	before := books()
	if len(before["sums"]) != 5 {
		t.Fatalf("%v", before["sums"])
	}
	must(t, migrations.Down(t.Context(), pool, migrations.Framework("asof"), 7))
	if list := tables(t, pool, "asof"); slices.Contains(list, "builds") || !slices.Contains(list, "projection_builds") {
		t.Errorf("%v", list)
	}
	// A program of before goes on by the versions of the streams, from the log too.
	if wrong := text(t, pool, `
		select count(*)::text from (select category, stream_id, max(version) v from asof.events where position <= 29 group by 1, 2) e
		full join (select * from asof.projection_streams where build = 2) s using (category, stream_id) where s.version is distinct from e.v`); wrong != "0" {
		t.Errorf("%s streams differ", wrong)
	}
	must(t, migrations.Up(t.Context(), pool))
	if diff := cmp.Diff(before, books()); diff != "" {
		t.Errorf("down and up: (-before +after)\n%s", diff)
	}
	exec(t, pool, `insert into asof.builds (name, version, status, schema_name, fingerprint) values ('z', 1, 'live', 'z', 'f')`)
	if id := text(t, pool, `select id::text from asof.builds where name = 'z'`); id != "4" {
		t.Errorf("the next build is %s", id)
	}
}

// Read models outlive no books: whoever goes down so far is told to drop them before.
func TestBooks_are_not_dropped_under_a_read_model(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	must(t, migrations.Up(t.Context(), pool))
	exec(t, pool, `insert into asof.builds (name, version, status, schema_name, fingerprint) values ('orders', 1, 'live', 'orders', 'f')`)
	exec(t, pool, `insert into asof.lanes (build, lane) select id, 0 from asof.builds`)
	err := migrations.Down(t.Context(), pool, migrations.Framework("asof"), 2)
	if err == nil || !strings.Contains(err.Error(), "read models stand, and their books would be gone: orders") || !strings.Contains(err.Error(), "drop each of them") {
		t.Errorf("%v", err)
	}
	must(t, migrations.Up(t.Context(), pool))
	if names := texts(t, pool, `select name from asof.builds`); !slices.Equal(names, []string{"orders"}) {
		t.Errorf("%q", names)
	}
	exec(t, pool, `delete from asof.builds`)
	must(t, migrations.Down(t.Context(), pool, migrations.Framework("asof"), 2))
	must(t, migrations.Up(t.Context(), pool))
}

// What lanes have counted is counted by the one that is left.
func TestLanes_go_down_to_one(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	must(t, migrations.Up(t.Context(), pool))
	exec(t, pool, `insert into asof.builds (name, version, status, schema_name, fingerprint, kind) values ('x', 1, 'live', 'x', 'f', 'kafka')`)
	exec(t, pool, `insert into asof.lanes (build, lane, position, counter, skipped, parked, foreign_messages) values (1, 0, 9, 5, 1, 2, 3), (1, 1, 0, 7, 10, 20, 30), (1, 4, 0, 8, 100, 200, 300)`)
	exec(t, pool, `insert into asof.sums (build, lane, category, events, hash) values (1, 0, 'a', 1, 6), (1, 1, 'a', 2, 5), (1, 4, 'b', 3, 9)`)
	must(t, migrations.Down(t.Context(), pool, migrations.Framework("asof"), 11))
	for sql, want := range map[string]string{
		`select position || ' ' || skipped || ' ' || parked from asof.lanes`:                                  "9 111 222",
		`select foreign_messages::text from asof.builds`:                                                      "333",
		`select string_agg(lane || category || events || ' ' || hash, ', ' order by category) from asof.sums`: "0a3 3, 0b3 9",
	} {
		if got := text(t, pool, sql); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
	must(t, migrations.Up(t.Context(), pool))
	if got := text(t, pool, `select string_agg(lane || ' ' || foreign_messages, ', ') from asof.lanes`); got != "0 333" {
		t.Errorf("up again: %s", got)
	}
}
