package migrations_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/migrations"
)

func up(sql string) string { return "-- +goose Up\n" + sql + ";\n" }

// A set is known by the names of its files and by what they do. What belongs to
// another is neither skipped as if it were applied, nor taken back.
func TestUp_refuses_a_second_set_in_the_schema(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	first := map[string]string{"0001_notes.sql": up("create table notes (n int)"), "0002_more.sql": up("alter table notes add m int")}
	for what, c := range map[string]struct {
		files map[string]string
		parts []string
	}{
		"another name":                 {map[string]string{"0001_orders.sql": up("create table orders (n int)")}, []string{"0001_notes.sql", "0001_orders.sql"}},
		"another name later":           {map[string]string{"0001_notes.sql": first["0001_notes.sql"], "0002_orders.sql": up("create table orders (n int)")}, []string{"0002_more.sql", "0002_orders.sql"}},
		"the same name":                {map[string]string{"0001_notes.sql": up("create table orders (n int)")}, []string{"0001_notes.sql", "other content"}},
		"other numbers":                {map[string]string{"0003_orders.sql": up("create table orders (n int)")}, []string{"0001_notes.sql"}},
		"other numbers, far away":      {map[string]string{"20260101_orders.sql": up("create table orders (n int)")}, []string{"0001_notes.sql"}},
		"no transaction, where it had": {map[string]string{"0001_notes.sql": "-- +goose NO TRANSACTION\n" + first["0001_notes.sql"]}, []string{"0001_notes.sql", "other content"}},
	} {
		second := raw(c.files)
		pool := embeddedtest.Pool(t)
		both := migrations.Up(ctx, pool, raw(first), second)
		says(t, both, append(c.parts, "service", "schema of its own")...)
		if got := tables(t, pool, "service"); len(got) != 0 || !errors.Is(both, migrations.ErrOtherSet) {
			t.Errorf("%s: both at once made %v: %v", what, got, both)
		}
		must(t, migrations.Up(ctx, pool, raw(first)))
		_, status := migrations.Status(ctx, pool, second)
		for call, err := range map[string]error{"Up": migrations.Up(ctx, pool, second), "Status": status, "Down": migrations.Down(ctx, pool, second, 0)} {
			says(t, err, append(c.parts, "service", "schema of its own")...)
			if !errors.Is(err, migrations.ErrOtherSet) {
				t.Errorf("%s: %s: got %v, want ErrOtherSet", what, call, err)
			}
		}
		must(t, migrations.Up(ctx, pool, raw(first)))
		if got := tables(t, pool, "service"); !cmp.Equal(got, []string{"notes"}) {
			t.Errorf("%s: the schema has %v", what, got)
		}
	}
}

// Beginning at numbers below what is applied is another set too, or a file that came
// too late.
func TestUp_refuses_a_file_below_what_is_applied(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	files := map[string]string{"0002_notes.sql": up("create table notes (n int)")}
	must(t, migrations.Up(t.Context(), pool, raw(files)))
	files["0001_late.sql"] = up("create table late (n int)")
	err := migrations.Up(t.Context(), pool, raw(files))
	says(t, err, "0001_late.sql", "0002_notes.sql", "higher number")
	if !errors.Is(err, migrations.ErrOtherSet) || len(tables(t, pool, "service")) != 1 {
		t.Errorf("got %v, tables %v", err, tables(t, pool, "service"))
	}
}

// The same set grows, also when a newer program runs beside an older one.
func TestUp_takes_a_set_that_grew_for_the_same(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	older := raw(map[string]string{"0001_notes.sql": up("create table notes (n int)")})
	newer := raw(map[string]string{"0001_notes.sql": up("create table notes (n int)"), "0002_more.sql": up("alter table notes add m int") + "-- +goose Down\nalter table notes drop m;\n"})
	must(t, migrations.Up(ctx, pool, older, newer, older))
	must(t, migrations.Up(ctx, pool, older))
	if done, open := applied(t, pool, older); len(done) != 1 || len(open) != 0 {
		t.Errorf("the older program sees %v applied, %v not", done, open)
	}
	err := migrations.Down(ctx, pool, older, 0)
	says(t, err, "0002_more.sql", "this program does not have it")
	if !errors.Is(err, migrations.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	must(t, migrations.Down(ctx, pool, newer, 1))
	must(t, migrations.Up(ctx, pool, older))
}

// What a file does must stay as it was applied; how it reads may be mended, and so may
// its way down.
func TestUp_refuses_a_file_that_was_changed_after_it_was_applied(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	before := "-- Notes.\n\n-- +goose Up\n-- One a line.\ncreate table notes (\n\tn int\n);\n-- +goose Down\ndrop table note;\n"
	set := func(text string) migrations.Set { return raw(map[string]string{"0001_notes.sql": text}) }
	must(t, migrations.Up(ctx, pool, set(before)))
	mended := strings.ReplaceAll(strings.ReplaceAll(before, "One a line", "One note a line"), "drop table note;", "drop table notes;")
	must(t, migrations.Up(ctx, pool, set(mended)))
	must(t, migrations.Up(ctx, pool, set(strings.ReplaceAll(mended, "\n", "\r\n"))))
	changed := strings.ReplaceAll(mended, "n int", "n bigint")
	err := migrations.Up(ctx, pool, set(changed))
	says(t, err, "0001_notes.sql", "changed since", `update "service"."goose_db_version" set checksum = null where version_id = 1`)
	exec(t, pool, `alter table service.notes alter n type bigint`)
	exec(t, pool, `update "service"."goose_db_version" set checksum = null where version_id = 1`)
	must(t, migrations.Up(ctx, pool, set(changed)))
	if err := migrations.Up(ctx, pool, set(mended)); !errors.Is(err, migrations.ErrOtherSet) {
		t.Errorf("what was before is taken for the same: %v", err)
	}
	must(t, migrations.Down(ctx, pool, set(changed), 0))
	must(t, migrations.Up(ctx, pool, set(before)))
}

func TestUp_refuses_bad_sets_before_it_does_anything(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	good := service(map[string]string{"0001_notes.sql": "create table notes (n int)"})
	for _, name := range []string{"", "Asof", "1asof", "a-b", `a"b`, "a b", "asof; drop table x", strings.Repeat("a", 64)} {
		bad := good
		bad.Schema = name
		_, status := migrations.Status(t.Context(), pool, bad)
		for call, err := range map[string]error{
			"Up":     migrations.Up(t.Context(), pool, migrations.Framework("before"), bad),
			"Down":   migrations.Down(t.Context(), pool, bad, 0),
			"Status": status,
		} {
			says(t, err, "use 1 to 63 of a-z 0-9 _")
			if !errors.Is(err, migrations.ErrInvalid) {
				t.Errorf("%s of schema %q: got %v, want ErrInvalid", call, name, err)
			}
		}
	}
	file := func(text string) fs.FS {
		return fstest.MapFS{"0001_good.sql": {Data: []byte(up("select 1"))}, "0002_bad.sql": {Data: []byte(text)}}
	}
	for what, set := range map[string]migrations.Set{
		"has no files":                     {Schema: "service"},
		"no file of the form 0001":         {Schema: "service", Files: good.Files, Dir: "elsewhere"},
		"../sql":                           {Schema: "service", Files: good.Files, Dir: "../sql"},
		"duplicate":                        {Schema: "service", Files: fstest.MapFS{"0001_a.sql": {Data: []byte(up("select 1"))}, "01_b.sql": {Data: []byte(up("select 1"))}}},
		"0002_bad.sql: ":                   {Schema: "service", Files: file("create table t (n int);\n")},
		"missing semicolon":                {Schema: "service", Files: file("-- +goose Up\ncreate table t (n int)\n")},
		"missing '-- +goose StatementEnd'": {Schema: "service", Files: file(up("select 1") + "-- +goose Down\n-- +goose StatementBegin\nselect 1;\n")},
	} {
		err := migrations.Up(t.Context(), pool, migrations.Framework("before"), set)
		says(t, err, what)
		if !errors.Is(err, migrations.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", what, err)
		}
	}
	if err := migrations.Down(t.Context(), pool, good, -1); !errors.Is(err, migrations.ErrInvalid) {
		t.Errorf("down to -1: got %v, want ErrInvalid", err)
	}
	if got := texts(t, pool, `select nspname::text from pg_namespace where nspname in ('before', 'service')`); len(got) != 0 {
		t.Errorf("it has made %v", got)
	}
	for _, name := range []string{strings.Repeat("a", 63), "order", "_9"} { // a word of SQL, too
		odd := good
		odd.Schema = name
		must(t, migrations.Up(t.Context(), pool, odd))
		if got := tables(t, pool, name); !cmp.Equal(got, []string{"notes"}) {
			t.Errorf("schema %s has %v", name, got)
		}
	}
}
