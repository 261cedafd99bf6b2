package migrations_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/migrations"
)

// shown is how the view shows an event: "-" is null.
type shown struct{ Data, DataText, Metadata, MetadataText string }

func insertEvent(t *testing.T, pool *pgxpool.Pool, position int, contentType *string, data, metadata []byte) {
	t.Helper()
	exec(t, pool, `insert into asof.events (position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
		values ($1, 'a', $1::bigint::text, 1, gen_random_uuid(), 't', 1, $2, $3, $4, now())`, position, contentType, data, metadata)
}

func showEvents(t *testing.T, pool *pgxpool.Pool) []shown {
	t.Helper()
	var list []shown
	for _, line := range texts(t, pool, `select json_build_object('Data', coalesce(data::text, '-'), 'DataText', coalesce(data_text, '-'),
		'Metadata', coalesce(metadata::text, '-'), 'MetadataText', coalesce(metadata_text, '-'))::text from asof.events_json order by position`) {
		var s shown
		must(t, json.Unmarshal([]byte(line), &s))
		list = append(list, s)
	}
	return list
}

func TestEventsJSON_shows_every_event_however_strange(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	must(t, migrations.Up(t.Context(), pool))
	word := func(s string) *string { return &s }
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	const none, empty = "-", "{}"
	var want []shown
	for i, e := range []struct {
		contentType    *string
		data, metadata string
		shown          shown
	}{
		{nil, `{"a": 1}`, `{"by":"ann"}`, shown{`{"a": 1}`, none, `{"by": "ann"}`, none}},
		{nil, `null`, ``, shown{`null`, none, empty, none}},
		{nil, `{"a":"\u0000"}`, `{"by":"\u0000"}`, shown{none, `{"a":"\u0000"}`, none, `{"by":"\u0000"}`}},
		{nil, `{"a":"\ud800"}`, `{"by":"\ud800"}`, shown{none, `{"a":"\ud800"}`, none, `{"by":"\ud800"}`}},
		{nil, `1e400000`, `{"by":1e400000}`, shown{none, `1e400000`, none, `{"by":1e400000}`}},
		{nil, deep, deep, shown{none, deep, none, deep}},
		{nil, ``, ``, shown{none, ``, empty, none}},
		{nil, `{"a":`, `{"by":`, shown{none, `{"a":`, none, `{"by":`}},
		{nil, "\"\xff\"", "\xff\x00", shown{none, `"\377"`, none, `\377\000`}},
		{nil, "a\x00b", ``, shown{none, `a\000b`, empty, none}},
		{word("application/json; charset=utf-8"), `[1]`, ``, shown{`[1]`, none, empty, none}},
		{word("Application/JSON"), `[1]`, ``, shown{`[1]`, none, empty, none}},
		{word("application/vnd.shop.order+json;v=2"), `[1]`, ``, shown{`[1]`, none, empty, none}},
		{word("text/json"), `{`, ``, shown{none, `{`, empty, none}},
		{word("application/json-seq"), `[1]`, ``, shown{none, `[1]`, empty, none}},
		{word("text/plain; a=json"), `[1]`, ``, shown{none, `[1]`, empty, none}},
		{word("application/avro"), "\x00\x01", ``, shown{none, "\\000\x01", empty, none}},
		{word(""), `[1]`, ``, shown{none, `[1]`, empty, none}},
	} {
		insertEvent(t, pool, i+1, e.contentType, []byte(e.data), []byte(e.metadata))
		want = append(want, e.shown)
	}
	if diff := cmp.Diff(want, showEvents(t, pool)); diff != "" {
		t.Error(diff)
	}
	// Conditions on what is inside, and the parts of a parallel query.
	must(t, pool.AcquireFunc(t.Context(), func(c *pgxpool.Conn) error {
		_, err := c.Exec(t.Context(), `set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0;
			alter table asof.events set (parallel_workers = 2)`)
		must(t, err)
		const query = `select count(*) filter (where data ->> 'a' = '1'), count(*) from asof.events_json where metadata is null or not metadata ? 'x'`
		var version, found, all int
		must(t, c.QueryRow(t.Context(), `select current_setting('server_version_num')::int`).Scan(&version))
		rows, err := c.Query(t.Context(), `explain (costs off) `+query)
		must(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		if parallel := strings.Contains(strings.Join(lines, ""), "Gather"); parallel != (version >= 17_00_00) {
			t.Errorf("version %d plans %v", version, lines)
		}
		if err := c.QueryRow(t.Context(), query).Scan(&found, &all); err != nil || found != 1 || all != len(want) {
			t.Errorf("found %d of %d, %v", found, all, err)
		}
		return nil
	}))
}

// A reader of the view needs select on it alone; grants and others' views of it stay
// when the view is replaced, and the data is there after Down and Up.
func TestEventsJSON_is_replaced_under_its_readers(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	set := migrations.Framework("asof")
	must(t, migrations.Up(ctx, pool, set))
	must(t, migrations.Down(ctx, pool, set, 4))
	insertEvent(t, pool, 1, nil, []byte(`{"a": 1}`), []byte{})
	insertEvent(t, pool, 2, nil, []byte(`"\u0000"`), []byte{})
	role, own := login(t, pool, "")
	exec(t, pool, `grant usage on schema asof to `+role+`; grant select on asof.events_json to `+role)
	exec(t, pool, `create view public.first as select data ->> 'a' as a from asof.events_json`)
	must(t, migrations.Up(ctx, pool, set))
	if got := texts(t, pool, `select coalesce(a, '-') from public.first`); !cmp.Equal(got, []string{"1", "-"}) {
		t.Errorf("a view of the view shows %v", got)
	}
	if got := texts(t, own, `select coalesce(data::text, data_text) from asof.events_json order by position`); !cmp.Equal(got, []string{`{"a": 1}`, `"\u0000"`}) {
		t.Errorf("a reader sees %v", got)
	}
	err := migrations.Down(ctx, pool, set, 4)
	says(t, err, "0005_events_json.sql", "other objects depend on it")
	exec(t, pool, `drop view public.first`)
	for range 2 {
		must(t, migrations.Down(ctx, pool, set, 4))
		if got := texts(t, pool, `select data::text from asof.events_json where position = 1`); !cmp.Equal(got, []string{`{"a": 1}`}) {
			t.Errorf("after Down the view shows %v", got)
		}
		must(t, migrations.Up(ctx, pool, set))
		if got := showEvents(t, pool); len(got) != 2 || got[1].DataText != `"\u0000"` {
			t.Errorf("after Down and Up the view shows %v", got)
		}
	}
}

// Who waits can still stop a query of the view.
func TestEventsJSON_can_be_cancelled(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	must(t, migrations.Up(t.Context(), pool))
	insertEvent(t, pool, 1, nil, []byte(`[1]`), []byte{})
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() {
		_, err := pool.Exec(ctx, `select count(asof.payload_json(('[' || n || ']')::bytea)) from generate_series(1, 1000000000) n`)
		answer <- err
	}()
	until(t, pool, "the query runs", `select exists (select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query like '%payload_json%' and state = 'active')`)
	exec(t, pool, `select pg_cancel_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query like '%payload_json%'`)
	err := <-answer
	cancel()
	if err == nil || !strings.Contains(err.Error(), "canceling statement") {
		t.Errorf("got %v", err)
	}
}
