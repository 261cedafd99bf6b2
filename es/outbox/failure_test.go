package outbox_test

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/outbox"
)

// network is what the brokers of a test listen on: it can be cut, and it can lose
// requests and answers.
type network struct {
	down  atomic.Bool
	flaky atomic.Bool
	cut   atomic.Int64 // connections that it broke

	mu    sync.Mutex
	conns map[*conn]struct{}
}

type listener struct {
	net.Listener
	net *network
}

type conn struct {
	net.Conn
	net *network
}

func (n *network) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	return &listener{l, n}, err
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.net.down.Load() {
			c.Close()
			continue
		}
		wrapped := &conn{c, l.net}
		l.net.mu.Lock()
		l.net.conns[wrapped] = struct{}{}
		l.net.mu.Unlock()
		return wrapped, nil
	}
}

// Write breaks the connection in place of some answers: the request was done, and the
// client does not know.
func (c *conn) Write(b []byte) (int, error) {
	if c.net.flaky.Load() && rand.IntN(20) == 0 {
		c.net.cut.Add(1)
		c.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

func (c *conn) Close() error {
	c.net.mu.Lock()
	delete(c.net.conns, c)
	c.net.mu.Unlock()
	return c.Conn.Close()
}

// stop cuts all connections and lets none in.
func (n *network) stop() {
	n.down.Store(true)
	n.mu.Lock()
	var open []*conn
	for c := range n.conns {
		open = append(open, c)
	}
	n.mu.Unlock()
	for _, c := range open {
		c.Close()
	}
}

// cluster starts brokers of the test's own behind a network.
func cluster(t testing.TB) (*network, []string) {
	t.Helper()
	n := &network{conns: map[*conn]struct{}{}}
	c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.ListenFn(n.listen))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return n, c.ListenAddrs()
}

func TestKafka_down_for_a_while_loses_nothing(t *testing.T) {
	t.Parallel()
	network, brokers := cluster(t)
	w := newWorldAt(t, embeddedtest.Database(t), brokers)
	start(t, w.relay(outbox.WithBatch(100), short())) // a failure is shown when the lease is renewed
	stop := w.load("order", 2)
	for range 2 {
		from := w.status().Position
		w.until("300 more", func() bool { return w.status().Position > from+300 })
		network.stop()
		w.until("the failure to be shown", func() bool { return w.status().Failure != "" })
		network.down.Store(false)
		w.until("the failure to be over", func() bool { return w.status().Failure == "" })
	}
	stop()
	w.wait()
	w.verify("order")
}

func TestLost_acknowledgements_keep_the_order(t *testing.T) {
	t.Parallel()
	network, brokers := cluster(t)
	w := newWorldAt(t, embeddedtest.Database(t), brokers)
	network.flaky.Store(true)
	start(t, w.relay(outbox.WithBatch(20)))
	stop := w.load("order", 2)
	w.until("many broken connections", func() bool { return network.cut.Load() > 100 && w.status().Position > 1000 })
	network.flaky.Store(false)
	stop()
	w.wait()
	if repeats := w.verify("order"); repeats == 0 {
		t.Error("nothing was repeated, so no acknowledgement of events was lost and this proves nothing")
	}
}

func TestKilled_database_loses_nothing(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	w := newWorldAt(t, server.URL(), embeddedtest.Brokers(t))
	start(t, w.relay(outbox.WithBatch(50)))
	stop := w.load("order", 3)
	for range 3 {
		from := w.status().Position
		w.until("300 more", func() bool { return w.status().Position > from+300 })
		server.Kill()
		server.Restart()
		w.until("the database to answer", func() bool { return w.pool.Ping(t.Context()) == nil })
		w.pool.Reset() // of sessions that do not know yet
	}
	stop()
	w.wait()
	w.verify("order")
}

// A page that was read and not acknowledged is read again by the next relay.
func TestStop_while_Kafka_is_down_loses_nothing(t *testing.T) {
	t.Parallel()
	network, brokers := cluster(t)
	w := newWorldAt(t, embeddedtest.Database(t), brokers)
	stop := start(t, w.relay(short()))
	w.append("order", "1", 10)
	w.wait()
	network.stop()
	w.append("order", "1", 10)
	w.until("the failure to be shown", func() bool { return w.status().Failure != "" })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if s := w.status(); s.Position != 10 || s.Leader != "" || s.Failure != "" {
		t.Fatal(s)
	}
	network.down.Store(false)
	start(t, w.relay())
	w.wait()
	w.verify("order")
}
