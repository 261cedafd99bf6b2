package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// leftOut is how long a broker that accepts connections and does not answer is
	// not dialled again.
	leftOut = 3 * time.Second
	// silence is how long a broker must have been silent for that.
	silence = 1500 * time.Millisecond
)

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

var errLeftOut = errors.New("it accepted a connection a moment ago and did not answer")

// dialer remembers which brokers are silent. A stopped process still accepts
// connections, so that without this every new connection would wait for it.
type dialer struct {
	dial   dialFunc
	mu     sync.Mutex
	silent map[string]time.Time // until when a known broker is left out
	latest atomic.Int64         // the latest of these, in Unix nanoseconds
}

func newDialer(dial dialFunc, known []string) *dialer {
	d := &dialer{dial: dial, silent: make(map[string]time.Time)}
	for _, address := range known {
		d.silent[address] = time.Time{}
	}
	return d
}

// patient dials connections that are given up when they are silent for longer than
// first before their first answer and than later after it. Zero waits for ever.
func (d *dialer) patient(first, later time.Duration) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if d.leftOut(address) {
			return nil, fmt.Errorf("broker %s: %w", address, errLeftOut)
		}
		conn, err := d.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &patientConn{Conn: conn, dialer: d, address: address, first: first, later: later}, nil
	}
}

// leftOut reports a broker that was silent, unless all are.
func (d *dialer) leftOut(address string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if !d.silent[address].After(now) {
		return false
	}
	for _, until := range d.silent {
		if !until.After(now) {
			return true
		}
	}
	return false
}

func (d *dialer) note(address string, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent[address] = until
	if !until.IsZero() {
		d.latest.Store(max(d.latest.Load(), until.UnixNano()))
	}
}

// heard takes an answer, on whatever connection, for a broker that is back.
func (d *dialer) heard(address string) {
	if time.Now().UnixNano() < d.latest.Load() {
		d.note(address, time.Time{})
	}
}

// patientConn bounds how long a read waits. Its clients read only what they asked
// for, so that a silent connection is a silent broker.
type patientConn struct {
	net.Conn
	dialer       *dialer
	address      string
	first, later time.Duration
	answered     atomic.Bool
	deadline     atomic.Int64 // the client's own, in Unix nanoseconds; 0 is none
}

func (c *patientConn) SetDeadline(t time.Time) error {
	c.remember(t)
	return c.Conn.SetDeadline(t)
}

func (c *patientConn) SetReadDeadline(t time.Time) error {
	c.remember(t)
	return c.Conn.SetReadDeadline(t)
}

func (c *patientConn) remember(t time.Time) {
	if t.IsZero() {
		c.deadline.Store(0)
	} else {
		c.deadline.Store(t.UnixNano())
	}
}

func (c *patientConn) Read(b []byte) (int, error) {
	begin := time.Now()
	patience := c.later
	if !c.answered.Load() {
		patience = c.first
	}
	if patience > 0 {
		limit := begin.Add(patience)
		if own := c.deadline.Load(); own != 0 && own < limit.UnixNano() {
			limit = time.Unix(0, own)
		}
		if err := c.Conn.SetReadDeadline(limit); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(b)
	switch {
	case n > 0:
		c.answered.Store(true)
		c.dialer.heard(c.address)
	case n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && time.Since(begin) >= silence:
		c.dialer.note(c.address, time.Now().Add(leftOut))
	}
	return n, err
}
