package migrations_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/internal/pooltest"
	"github.com/asof-dev/asof/migrations"
)

// A pooler may drop what a client asks for at its start (ignore_startup_parameters).
func TestUp_does_not_rely_on_startup_parameters(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	config := pool.Config().ConnConfig
	server := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	deaf := pooltest.Through(t, pool, func(client net.Conn) error {
		start, err := pooltest.Startup(pgproto3.NewBackend(client, client))
		if err != nil {
			return err
		}
		start.Parameters = map[string]string{"user": start.Parameters["user"], "database": start.Parameters["database"]}
		first, err := start.Encode(nil)
		if err != nil {
			return err
		}
		upstream, err := net.Dial("tcp", server)
		if err != nil {
			return err
		}
		defer upstream.Close()
		if _, err := upstream.Write(first); err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(client, upstream)
			client.Close()
		}()
		_, err = io.Copy(upstream, client)
		return err
	}, nil)
	configure(t, pool, "statement_timeout", "200ms")
	notes := raw(map[string]string{
		"0001_notes.sql": "-- +goose Up\ncreate table notes (n int);\nselect pg_sleep(0.3);\n",
		"0002_index.sql": outside + "create index concurrently notes_n on notes (n);\n",
		// As pg_dump writes it.
		"0003_dump.sql": "-- +goose Up\nselect pg_catalog.set_config('search_path', '', false);\ncreate table service.dumped (n int);\n",
		"0004_more.sql": outside + "create table more (n int);\n",
		"0005_last.sql": "-- +goose Up\ncreate table last (n int);\n",
	})
	must(t, migrations.Up(t.Context(), deaf, migrations.Framework("asof"), notes))
	if got := tables(t, pool, "public"); len(got) != 0 {
		t.Errorf("public has %v", got)
	}
	if a, s := tables(t, pool, "asof"), tables(t, pool, "service"); len(a) == 0 || len(s) != 4 {
		t.Errorf("asof has %v, service has %v", a, s)
	}
}

// sessionState is what a client could have left in a session that is not its own.
const sessionState = `select (select setting from pg_settings where name = 'search_path') || ' ' || (select setting from pg_settings where name = 'statement_timeout')
	|| ' ' || (select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database()))`

func TestUp_behind_a_pooler_in_transaction_mode(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	configure(t, pool, "statement_timeout", "1234")
	p := pooltest.New(t, pool, 3)
	pooled := pooltest.Through(t, pool, p.Serve, nil)
	notes := service(map[string]string{"0001_notes.sql": "create table notes (n int)", "0002_more.sql": "alter table notes add m int"})
	answers := ups(t, pooled, 4, migrations.Framework("asof"), notes)
	for range 4 {
		must(t, <-answers)
	}
	if public, a, s := tables(t, pool, "public"), tables(t, pool, "asof"), tables(t, pool, "service"); len(public) != 0 || len(a) == 0 || len(s) != 1 {
		t.Errorf("public has %v, asof has %v, service has %v", public, a, s)
	}
	if done, open := applied(t, pooled, notes); len(done) != 2 || len(open) != 0 {
		t.Errorf("%v are applied, %v are not", done, open)
	}
	must(t, migrations.Down(ctx, pooled, notes, 1))
	for _, way := range []string{"up", "down"} {
		alone := raw(map[string]string{"0001_alone.sql": outside + "create table alone (n int);\n-- +goose Down\ndrop table alone;\n"})
		alone.Schema = "alone"
		call := func(pool *pgxpool.Pool) error { return migrations.Up(ctx, pool, alone) }
		if way == "down" {
			must(t, call(pool))
			call = func(pool *pgxpool.Pool) error { return migrations.Down(ctx, pool, alone, 0) }
		}
		err := call(pooled)
		says(t, err, "0001_alone.sql", "connect to Postgres directly")
		if !errors.Is(err, migrations.ErrInvalid) {
			t.Errorf("got %v, want ErrInvalid", err)
		}
		must(t, call(pool))
	}
	for range 3 {
		if got := left(t, <-p.Sessions); got != `"$user", public 1234 0` {
			t.Errorf("a session of the pooler is left with %s", got)
		}
	}
}

// left asks a session of the pooler for its state.
func left(t *testing.T, session *pgconn.HijackedConn) string {
	t.Helper()
	conn, err := pgconn.Construct(session)
	must(t, err)
	results, err := conn.Exec(context.WithoutCancel(t.Context()), sessionState).ReadAll()
	must(t, err)
	return string(results[0].Rows[0][0])
}

// Where the search path does not hold, nothing is made in a schema of chance.
func TestUp_refuses_a_session_whose_names_lead_elsewhere(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	p := pooltest.New(t, pool, 1)
	p.Change = func(parse *pgproto3.Parse) {
		parse.Query = strings.ReplaceAll(parse.Query, "'search_path'", "'application_name'")
	}
	pooled := pooltest.Through(t, pool, p.Serve, nil)
	says(t, migrations.Up(t.Context(), pooled), "schema public and not to asof", "connect to Postgres directly")
	must(t, migrations.Up(t.Context(), pool, raw(map[string]string{"0001_a.sql": up("create table a (n int)")})))
	says(t, migrations.Up(t.Context(), pooled, raw(map[string]string{"0001_a.sql": up("create table a (n int)"), "0002_b.sql": up("create table b (n int)")})), "schema public and not to service")
	if got := tables(t, pool, "public"); len(got) != 0 {
		t.Errorf("public has %v", got)
	}
}
