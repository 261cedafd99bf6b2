package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/migrations"
)

const outside = "-- +goose NO TRANSACTION\n-- +goose Up\n"

// An index that is built concurrently waits for every snapshot of the database: none
// may belong to who holds the lock or waits for it.
func TestUp_builds_an_index_concurrently_while_others_wait(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	files := map[string]string{
		"0001_notes.sql": "-- +goose Up\ncreate table notes (n int);\n",
		"0002_index.sql": outside + "create index concurrently notes_n on notes (n);\n-- +goose Down\ndrop index concurrently notes_n;\n",
	}
	must(t, migrations.Up(t.Context(), pool, raw(map[string]string{"0001_notes.sql": files["0001_notes.sql"]})))
	// An old snapshot keeps the first at its index until the others have come to wait.
	old, err := pool.Begin(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = old.Rollback(context.WithoutCancel(t.Context())) })
	_, err = old.Exec(t.Context(), `declare c cursor for select * from service.notes; fetch c`)
	must(t, err)
	answers := ups(t, pool, 3, raw(files))
	until(t, pool, "the index is being built", `select exists (select from pg_stat_progress_create_index where datname = current_database() and phase like 'waiting%')`)
	waiters(t, pool, 2)
	must(t, old.Rollback(t.Context()))
	for range 3 {
		must(t, <-answers)
	}
	if valid := text(t, pool, `select indisvalid::text from pg_index where indexrelid = 'service.notes_n'::regclass`); valid != "true" {
		t.Error("the index is not valid")
	}
	must(t, migrations.Down(t.Context(), pool, raw(files), 1))
	if done, open := applied(t, pool, raw(files)); len(done) != 1 || len(open) != 1 {
		t.Errorf("after Down %v are applied, %v are not", done, open)
	}
	must(t, migrations.Up(t.Context(), pool, raw(files)))
}

// gate is SQL that waits until the test opens the gate.
const gate = `select pg_advisory_lock_shared(77); select pg_advisory_unlock_shared(77)`

// shut keeps the gate shut until open is called.
func shut(t *testing.T, pool *pgxpool.Pool) (open func()) {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	must(t, err)
	t.Cleanup(conn.Release)
	_, err = conn.Exec(t.Context(), `select pg_advisory_lock(77)`)
	must(t, err)
	return func() {
		_, err := conn.Exec(t.Context(), `select pg_advisory_unlock(77)`)
		must(t, err)
	}
}

// end ends the session that stands at the gate.
func end(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	const there = `from pg_locks where locktype = 'advisory' and objid = 77 and not granted and database = (select oid from pg_database where datname = current_database())`
	until(t, pool, "a file is at the gate", `select exists (select `+there+`)`)
	exec(t, pool, `select pg_terminate_backend(pid, 20000) `+there)
}

// The session of who works is ended in the middle of a file, twice: the next one does
// it, and it is done once.
func TestUp_applies_no_file_twice_when_sessions_end(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	set := service(map[string]string{
		"0001_marks.sql": "create table marks (n int)",
		"0002_mark.sql":  "insert into marks values (1);\n" + gate,
	})
	configure(t, pool, "default_transaction_isolation", "repeatable read")
	open := shut(t, pool)
	answers := ups(t, pool, 4, set)
	for range 2 {
		end(t, pool)
		says(t, <-answers, "0002_mark.sql", "terminating connection")
	}
	open()
	for range 2 {
		must(t, <-answers)
	}
	if n := text(t, pool, `select count(*)::text from service.marks`); n != "1" {
		t.Errorf("the file was applied %s times", n)
	}
	if n := text(t, pool, `select count(*)::text from service.goose_db_version where version_id = 2`); n != "1" {
		t.Errorf("its number was written down %s times", n)
	}
}

// Outside a transaction nobody can know what is done: nobody goes on, and all say what
// there is to do.
func TestUp_begins_no_file_again_that_ended_in_its_middle(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	set := raw(map[string]string{
		"0001_marks.sql": "-- +goose Up\ncreate table marks (n int);\n",
		"0002_mark.sql":  outside + "insert into marks values (1);\n" + gate + ";\ninsert into marks values (2);\n-- +goose Down\ndelete from marks;\n",
		"0003_more.sql":  "-- +goose Up\ncreate table more (n int);\n-- +goose Down\ndrop table more;\n",
	})
	open := shut(t, pool)
	answers := ups(t, pool, 3, set)
	end(t, pool)
	open()
	again := `delete from "service"."goose_db_version" where version_id = 2`
	done := `update "service"."goose_db_version" set is_applied = true where version_id = 2`
	var unfinished int
	for range 3 {
		err := <-answers
		says(t, err, "0002_mark.sql", again, done)
		if errors.Is(err, migrations.ErrUnfinished) {
			unfinished++
		}
	}
	if unfinished != 2 {
		t.Errorf("%d of those who waited say that the file is unfinished, want 2", unfinished)
	}
	for what, err := range map[string]error{"up": migrations.Up(ctx, pool, set), "down": migrations.Down(ctx, pool, set, 0)} {
		if !errors.Is(err, migrations.ErrUnfinished) {
			t.Errorf("%s: got %v, want ErrUnfinished", what, err)
		}
	}
	must(t, migrations.Down(ctx, pool, set, 2))                                                                   // nothing to do
	must(t, migrations.Up(ctx, pool, raw(map[string]string{"0001_marks.sql": up("create table marks (n int)")}))) // an older program
	files, err := migrations.Status(ctx, pool, set)
	if err != nil || files[0].Unfinished || !files[1].Unfinished || !files[1].AppliedAt.IsZero() || files[2].Unfinished {
		t.Errorf("status: %+v, %v", files, err)
	}
	exec(t, pool, `insert into service.marks values (2)`) // what the file did not do
	exec(t, pool, done)
	must(t, migrations.Up(ctx, pool, set))
	if got := text(t, pool, `select string_agg(n::text, ' ' order by n) from service.marks`); got != "1 2" {
		t.Errorf("the table has %s", got)
	}
	// And the other answer.
	must(t, migrations.Down(ctx, pool, set, 1))
	exec(t, pool, `alter table service.marks rename to away`)
	says(t, migrations.Up(ctx, pool, set), "0002_mark.sql: statement 1 of 3", `"marks" does not exist`, again)
	exec(t, pool, `alter table service.away rename to marks`)
	exec(t, pool, again)
	must(t, migrations.Up(ctx, pool, set))
	if got := text(t, pool, `select string_agg(n::text, ' ' order by n) from service.marks`); got != "1 2" {
		t.Errorf("begun again the table has %s", got)
	}
}

// Who waits does not take a file for unfinished at which another is at work.
func TestUp_waits_for_a_file_outside_a_transaction(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	set := raw(map[string]string{
		"0001_mark.sql": outside + "create table marks as select 1 as n;\n" + gate + ";\n-- +goose Down\n" + gate + ";\ndrop table marks;\n",
	})
	open := shut(t, pool)
	first := ups(t, pool, 1, set)
	until(t, pool, "the file is begun", `select to_regclass('service.marks') is not null`)
	second := ups(t, pool, 2, set)
	waiters(t, pool, 2)
	if files, err := migrations.Status(t.Context(), pool, set); err != nil || !files[0].Unfinished {
		t.Errorf("status: %+v, %v", files, err)
	}
	open()
	must(t, <-first)
	must(t, <-second)
	must(t, <-second)
	must(t, migrations.Down(t.Context(), pool, set, 0))
	if got := tables(t, pool, "service"); len(got) != 0 {
		t.Errorf("after Down there is %v", got)
	}
}

// A file that commits by itself has given its lock away: it is named, and not begun
// again.
func TestUp_refuses_a_file_that_ends_its_own_transaction(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"commit", "rollback"} {
		pool := embeddedtest.Pool(t)
		set := service(map[string]string{"0001_torn.sql": "create table marks as select 1 as n;\n" + word + ";\ninsert into marks values (2)"})
		for range 2 {
			err := migrations.Up(t.Context(), pool, set)
			says(t, err, "0001_torn.sql", "transaction", `delete from "service"."goose_db_version" where version_id = 1`)
			if !errors.Is(err, migrations.ErrUnfinished) {
				t.Errorf("got %v, want ErrUnfinished", err)
			}
		}
	}
}

// Timeouts that a role or a database sets for its services end neither who waits nor
// a long file.
func TestUp_is_patient_whatever_the_role_says(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"", "-- +goose NO TRANSACTION\n"} {
		pool := embeddedtest.Pool(t)
		set := raw(map[string]string{"0001_mark.sql": how + `-- +goose Up
create table marks as select name, setting from pg_settings where name ~ '_timeout$' or name like 'tcp_keepalives_%';
set statement_timeout = '20ms';
reset statement_timeout;
set statement_timeout = 0;
select pg_sleep(0.5);
set statement_timeout = '300ms';
set lock_timeout = '20ms';
`, "0002_mark.sql": how + `-- +goose Up
insert into marks select name, setting from pg_settings where name ~ '_timeout$';
select pg_sleep(0.5);
`})
		for _, name := range texts(t, pool, `select name from pg_settings where name ~ '^(statement|lock|idle.*session|transaction)_timeout$'`) {
			configure(t, pool, name, "200ms")
		}
		first, second := another(t, pool, nil), another(t, pool, nil)
		answers := ups(t, first, 2, set)
		more := ups(t, second, 1, set)
		must(t, <-answers)
		must(t, <-answers)
		must(t, <-more)
		lifted := text(t, pool, `select string_agg(distinct name || '=' || setting, ' ' order by name || '=' || setting) from service.marks
			where name ~ '^(statement|lock|idle.*session)_timeout$' or name = 'tcp_keepalives_idle'`)
		if want := "idle_in_transaction_session_timeout=0 idle_session_timeout=0 lock_timeout=0 statement_timeout=0 tcp_keepalives_idle=30"; lifted != want {
			t.Errorf("%q: the files ran with %s, want %s", how, lifted, want)
		}
		if n := text(t, pool, `select count(*)::text from service.marks where name = 'transaction_timeout' and setting <> '0'`); n != "0" {
			t.Errorf("%q: a file ran under transaction_timeout", how)
		}
	}
}

// Down and Up of several processes meet: each file is done whole and in order.
func TestUp_and_Down_at_once_end_in_an_order_that_is_right(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	files := map[string]string{}
	for n := 1; n <= 4; n++ {
		files[fmt.Sprintf("%04d_t.sql", n)] = fmt.Sprintf("-- +goose Up\ncreate table t%d (n int);\n-- +goose Down\ndrop table t%[1]d;\n", n)
	}
	set := raw(files)
	for range 5 {
		answers := ups(t, pool, 2, set)
		must(t, migrations.Down(ctx, pool, set, 0))
		must(t, <-answers)
		must(t, <-answers)
		made := tables(t, pool, "service")
		done, _ := applied(t, pool, set)
		if len(made) != len(done) || len(made) > 0 && made[len(made)-1] != fmt.Sprintf("t%d", len(made)) {
			t.Errorf("tables %v, applied %v", made, done)
		}
	}
}
