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
	"github.com/asof-dev/asof/migrations"
)

// proxy stands between a pool and its server, and serves each connection.
func proxy(t *testing.T, pool *pgxpool.Pool, serve func(client net.Conn) error) *pgxpool.Pool {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				if err := serve(client); err != nil && t.Context().Err() == nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, net.ErrClosed) {
					t.Errorf("proxy: %v", err)
				}
			}()
		}
	}()
	return another(t, pool, func(c *pgxpool.Config) {
		address := listener.Addr().(*net.TCPAddr)
		c.ConnConfig.Host, c.ConnConfig.Port, c.ConnConfig.Fallbacks = address.IP.String(), uint16(address.Port), nil
		c.ConnConfig.TLSConfig = nil
	})
}

// startup reads what a client says first.
func startup(client *pgproto3.Backend) (*pgproto3.StartupMessage, error) {
	message, err := client.ReceiveStartupMessage()
	if err != nil {
		return nil, err
	}
	start, ok := message.(*pgproto3.StartupMessage)
	if !ok {
		return nil, errors.New("no startup message")
	}
	return start, nil
}

// A pooler may drop what a client asks for at its start (ignore_startup_parameters).
func TestUp_does_not_rely_on_startup_parameters(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	config := pool.Config().ConnConfig
	server := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	deaf := proxy(t, pool, func(client net.Conn) error {
		start, err := startup(pgproto3.NewBackend(client, client))
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
	})
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

// pooler serves clients as a pooler in transaction mode does: each transaction of a
// client may have another of its sessions.
type pooler struct {
	sessions chan *pgconn.HijackedConn
	change   func(*pgproto3.Parse) // a statement on its way; nil leaves it
}

func newPooler(t *testing.T, pool *pgxpool.Pool, n int) *pooler {
	t.Helper()
	p := &pooler{sessions: make(chan *pgconn.HijackedConn, n)}
	for range n {
		conn, err := pgconn.ConnectConfig(t.Context(), &pool.Config().ConnConfig.Config)
		must(t, err)
		session, err := conn.Hijack()
		must(t, err)
		t.Cleanup(func() { session.Conn.Close() })
		p.sessions <- session
	}
	return p
}

func (p *pooler) serve(conn net.Conn) error {
	client := pgproto3.NewBackend(conn, conn)
	if _, err := startup(client); err != nil {
		return err
	}
	client.Send(&pgproto3.AuthenticationOk{})
	client.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	client.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	client.Send(&pgproto3.BackendKeyData{ProcessID: 4_000_000_000, SecretKey: []byte{1, 2, 3, 4}})
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if err := client.Flush(); err != nil {
		return err
	}
	for {
		if done, err := p.transaction(client); err != nil || done {
			return err
		}
	}
}

// transaction carries messages to one session until it is in no transaction.
func (p *pooler) transaction(client *pgproto3.Backend) (done bool, err error) {
	var session *pgconn.HijackedConn
	for {
		message, err := client.Receive()
		if err != nil {
			return true, err
		}
		if _, ok := message.(*pgproto3.Terminate); ok {
			return true, nil
		}
		if session == nil {
			session = <-p.sessions
			defer func() { p.sessions <- session }()
		}
		if parse, ok := message.(*pgproto3.Parse); ok && p.change != nil {
			p.change(parse)
		}
		session.Frontend.Send(message)
		switch message.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
		default:
			continue
		}
		status, err := answer(client, session.Frontend)
		if err != nil || status == 'I' {
			return false, err
		}
	}
}

// answer carries what the server says to the client until it is ready again.
func answer(client *pgproto3.Backend, server *pgproto3.Frontend) (status byte, err error) {
	if err := server.Flush(); err != nil {
		return 0, err
	}
	for {
		message, err := server.Receive()
		if err != nil {
			return 0, err
		}
		client.Send(message)
		if ready, ok := message.(*pgproto3.ReadyForQuery); ok {
			return ready.TxStatus, client.Flush()
		}
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
	p := newPooler(t, pool, 3)
	pooled := proxy(t, pool, p.serve)
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
		if got := left(t, <-p.sessions); got != `"$user", public 1234 0` {
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
	p := newPooler(t, pool, 1)
	p.change = func(parse *pgproto3.Parse) {
		parse.Query = strings.ReplaceAll(parse.Query, "'search_path'", "'application_name'")
	}
	pooled := proxy(t, pool, p.serve)
	says(t, migrations.Up(t.Context(), pooled), "schema public and not to asof", "connect to Postgres directly")
	must(t, migrations.Up(t.Context(), pool, raw(map[string]string{"0001_a.sql": up("create table a (n int)")})))
	says(t, migrations.Up(t.Context(), pooled, raw(map[string]string{"0001_a.sql": up("create table a (n int)"), "0002_b.sql": up("create table b (n int)")})), "schema public and not to service")
	if got := tables(t, pool, "public"); len(got) != 0 {
		t.Errorf("public has %v", got)
	}
}
