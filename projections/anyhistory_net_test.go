package projections_test

import (
	"context"
	"net"
	"regexp"
	"sync/atomic"
)

// frail is the network of a process that dies before a message, of those that change something.
type frail struct {
	lifeline
	at   int64 // the how manieth of them
	calm bool  // it dies at no message, and counts none
	sent atomic.Int64
}

func (f *frail) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := f.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &frailConn{Conn: conn, of: f}, nil
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
