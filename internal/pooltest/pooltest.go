// Package pooltest puts what stands between programs and their database in the way of
// tests: a pooler in transaction mode, or any other thing that carries messages.
package pooltest

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Through returns a pool as the given one is, whose connections serve serves. Change may
// be nil.
func Through(t testing.TB, pool *pgxpool.Pool, serve func(client net.Conn) error, change func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	address := listen(t, serve)
	config := pool.Config()
	config.ConnConfig.Host, config.ConnConfig.Port, config.ConnConfig.Fallbacks = address.IP.String(), uint16(address.Port), nil //nolint:gosec // a port
	config.ConnConfig.TLSConfig = nil
	if change != nil {
		change(config)
	}
	own, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Close)
	return own
}

func listen(t testing.TB, serve func(client net.Conn) error) *net.TCPAddr {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				if err := serve(client); err != nil && t.Context().Err() == nil && !hungUp(err) {
					t.Errorf("between the pool and its server: %v", err)
				}
			}()
		}
	}()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("listening on %s, which is no address of TCP", listener.Addr())
	}
	return address
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// Startup reads what a client says first.
func Startup(client *pgproto3.Backend) (*pgproto3.StartupMessage, error) {
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
