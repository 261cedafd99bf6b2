package projections_test

import (
	"context"
	"net"
	"regexp"
	"sync"
	"sync/atomic"
)

// frail is the network of a process that dies before a message, of those that change something.
type frail struct {
	at   int64 // the how manieth of them
	calm bool  // it dies at no message, and counts none
	died context.CancelFunc
	gone chan struct{} // closed when all connections are
	sent atomic.Int64
	dead atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

func (f *frail) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if f.dead.Load() {
		return nil, errDead
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns = append(f.conns, conn)
	return &frailConn{Conn: conn, of: f}, nil
}

// die ends all connections, once.
func (f *frail) die() {
	if f.dead.Swap(true) {
		return
	}
	f.died()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		_ = c.Close()
	}
	close(f.gone)
}

var changes = regexp.MustCompile(`(?i)\b(commit|insert into|delete from|create|alter|drop)\b|\bupdate "`)

type frailConn struct {
	net.Conn
	of *frail
}

func (c *frailConn) Write(data []byte) (int, error) {
	if c.of.dead.Load() {
		return 0, errDead
	}
	if c.of.calm || !changes.Match(data) || c.of.sent.Add(1) != c.of.at {
		return c.Conn.Write(data)
	}
	c.of.die()
	return 0, errDead
}
