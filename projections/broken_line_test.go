package projections_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// brittle is a network on which one message is lost, and its connection with it.
type brittle struct {
	at       int64 // of all messages
	answered bool  // the message arrives, and its answer is lost
	changing bool  // of those alone that change something
	times    int64 // and again after so many, this often; zero: once
	sent     atomic.Int64
}

type brittleConn struct {
	net.Conn
	of     *brittle
	broken atomic.Bool
}

func (l *brittle) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &brittleConn{Conn: conn, of: l}, nil
}

// loses reports that a message which is sent now is one that is lost.
func (l *brittle) loses() bool {
	n := l.sent.Add(1)
	return l.at > 0 && n%l.at == 0 && n/l.at <= max(1, l.times)
}

func (c *brittleConn) Write(data []byte) (int, error) {
	if c.of.changing && !changes.Match(data) {
		return c.Conn.Write(data)
	}
	if c.of.loses() {
		if !c.of.answered {
			_ = c.Close()
			return 0, net.ErrClosed
		}
		c.broken.Store(true)
	}
	return c.Conn.Write(data)
}

func (c *brittleConn) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	if c.broken.Load() { // the server has got it, and has begun to answer
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// storeOn is the store as a process has it whose network is brittle.
func (w *world) storeOn(l *brittle) *pgstore.Store {
	w.Helper()
	return w.storeWith(func(config *pgxpool.Config) {
		config.ConnConfig.DialFunc = l.dial
		config.MinConns, config.MaxConns = 0, 4
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	})
}

// Whichever message is lost, with its connection, the projector goes on: no statement takes
// an accident for a mistake in the definition, and none is repeated that was done.
func TestConnection_that_breaks_at_any_message_ends_no_projector(t *testing.T) {
	t.Parallel()
	st := newStage(t, setting{order: projections.Commuting})
	act := func(t *testing.T, at int64, answered bool) (sent int64) {
		s := st.scene(t)
		l := &brittle{at: at, answered: answered}
		p := s.projector(s.storeOn(l))
		ctx := within(t, time.Minute)
		head := s.number(`select max(position) from asof.events where category = $1`, s.category)
		ctx, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		until(t, "the log is applied", func() bool {
			select {
			case err := <-ended:
				t.Fatalf("Run ended: %v", err)
			default:
			}
			return s.number(`select count(*) from asof.builds b join asof.lanes l on l.build = b.id where b.name = $1 and b.status = 'live' and l.position >= $2`, s.name(), head) == 1
		})
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		s.whole(t, fmt.Sprintf("without message %d", at))
		return l.sent.Load()
	}
	last := act(t, 0, false)
	t.Logf("%d messages", last)
	for at := int64(1); at <= last; at++ {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			act(t, at, false)
			act(t, at, true)
		})
	}
}

// What is committed and not answered is not counted twice, though no row shows that it was done.
func TestCommit_that_is_not_answered_is_counted_once(t *testing.T) {
	t.Parallel()
	def := totals()
	def.Keys = func(Event, es.Recorded) []string { return nil }
	for at := range int64(6) {
		w := newWorld(t)
		if err := projections.New(w.store, def).Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
		last := w.append("a-2", Opened{Owner: "bob"})
		l := &brittle{at: at + 1, answered: true, changing: true}
		p := projections.New(w.storeOn(l), def)
		start(t, p)
		reach(t, p, last)
		if l.sent.Load() <= at {
			break // no message of that number
		}
		w.wantVerified(projections.New(w.store, def), "1: ")
	}
}
