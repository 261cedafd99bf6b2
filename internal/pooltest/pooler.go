package pooltest

import (
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Pooler serves clients as a pooler in transaction mode does that knows nothing of
// prepared statements: each transaction of a client may have another of its sessions.
type Pooler struct {
	// Sessions are those that no client has now; take one to look at it when all have gone.
	Sessions chan *pgconn.HijackedConn
	// Change may change a statement on its way; nil leaves it.
	Change func(*pgproto3.Parse)
}

// New returns a pooler with n sessions of the pool's server.
func New(t testing.TB, pool *pgxpool.Pool, n int) *Pooler {
	t.Helper()
	p := &Pooler{Sessions: make(chan *pgconn.HijackedConn, n)}
	for range n {
		conn, err := pgconn.ConnectConfig(t.Context(), &pool.Config().ConnConfig.Config)
		if err != nil {
			t.Fatal(err)
		}
		session, err := conn.Hijack()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = session.Conn.Close() })
		p.Sessions <- session
	}
	return p
}

// Serve is for [Through].
func (p *Pooler) Serve(conn net.Conn) error {
	client := pgproto3.NewBackend(conn, conn)
	if _, err := Startup(client); err != nil {
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
func (p *Pooler) transaction(client *pgproto3.Backend) (done bool, err error) {
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
			session = <-p.Sessions
			defer func() { p.Sessions <- session }()
		}
		if parse, ok := message.(*pgproto3.Parse); ok && p.Change != nil {
			p.Change(parse)
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
