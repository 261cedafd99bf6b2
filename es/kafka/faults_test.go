package kafka_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/kafka"
)

// faults is a network between a client and the brokers that can be cut, closed and
// frozen.
type faults struct {
	odds atomic.Int64 // cut a connection at one of so many pieces; 0: never
	cuts atomic.Int64

	refused atomic.Int64 // connections that were not made
	held    atomic.Int64 // requests of more than a kilobyte that were held back

	mu      sync.Mutex
	closed  bool            // no new connections
	frozen  map[string]bool // brokers whose bytes are held back
	dialled map[string]int  // connections made since the broker was frozen
	changed chan struct{}   // closed when frozen changes
	lines   map[*wire]bool
	pumps   sync.WaitGroup
}

// wire is one connection through the network.
type wire struct {
	address          string
	client, upstream net.Conn
}

func (w *wire) cut() {
	_ = w.client.Close()
	_ = w.upstream.Close()
}

func newFaults(t *testing.T) *faults {
	f := &faults{frozen: make(map[string]bool), dialled: make(map[string]int), changed: make(chan struct{}), lines: make(map[*wire]bool)}
	t.Cleanup(func() {
		f.odds.Store(0)
		f.close()
		f.pumps.Wait()
	})
	return f
}

// client is a client behind this network.
func (f *faults) client(t *testing.T) *kafka.Client {
	t.Helper()
	client, err := kafka.NewThrough(kafka.Config{Brokers: embeddedtest.Brokers(t), Logger: logger(t)}, f.dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (f *faults) dial(ctx context.Context, network, address string) (net.Conn, error) {
	f.mu.Lock()
	closed := f.closed
	f.mu.Unlock()
	if closed {
		f.refused.Add(1)
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("the test's network is closed")}
	}
	upstream, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	near, far, err := pair(ctx)
	if err != nil {
		_ = upstream.Close()
		return nil, err
	}
	w := &wire{address: address, client: far, upstream: upstream}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		w.cut()
	}
	f.lines[w] = true
	f.dialled[address]++
	f.pumps.Go(func() { f.pump(w, w.client, w.upstream) })
	f.pumps.Go(func() { f.pump(w, w.upstream, w.client) })
	return near, nil
}

// pair is a connection's two ends.
func pair(ctx context.Context) (near, far net.Conn, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = listener.Close() }()
	if near, err = (&net.Dialer{}).DialContext(ctx, "tcp", listener.Addr().String()); err != nil {
		return nil, nil, err
	}
	far, err = listener.Accept()
	return near, far, err
}

func (f *faults) pump(w *wire, from, to net.Conn) {
	defer func() {
		w.cut()
		f.mu.Lock()
		delete(f.lines, w)
		f.mu.Unlock()
	}()
	piece := make([]byte, 16<<10)
	for {
		n, err := from.Read(piece)
		if odds := f.odds.Load(); odds > 0 && rand.N(odds) == 0 {
			f.cuts.Add(1)
			return
		}
		f.thaw(w.address, n)
		if n > 0 {
			if _, err := to.Write(piece[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// thaw waits while the broker is frozen.
func (f *faults) thaw(address string, n int) {
	for {
		f.mu.Lock()
		frozen, changed := f.frozen[address], f.changed
		f.mu.Unlock()
		if !frozen {
			return
		}
		if n > 1000 {
			f.held.Add(1)
		}
		<-changed
	}
}

// freeze holds back the bytes of a broker, which still accepts connections.
func (f *faults) freeze(address string, frozen bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen[address] = frozen
	f.dialled[address] = 0
	close(f.changed)
	f.changed = make(chan struct{})
}

// dials counts the connections to a broker since it was frozen.
func (f *faults) dials(address string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dialled[address]
}

// close cuts all connections and lets nobody in until open.
func (f *faults) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	clear(f.frozen)
	close(f.changed)
	f.changed = make(chan struct{})
	for w := range f.lines {
		w.cut()
	}
}

func (f *faults) open() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = false
}
