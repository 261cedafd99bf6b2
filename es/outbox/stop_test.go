package outbox_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
)

// A relay that is stopped leaves no lease behind, at whatever statement it was: another
// would wait until it has run out.
func TestStop_leaves_no_lease(t *testing.T) {
	t.Parallel()
	for what, at := range map[string]string{
		"while it shortens a lease":    "where lease_until > clock_timestamp() + lease",
		"while it takes the lease":     taking,
		"while it adopts the life":     "relay set life = $4",
		"while it moves a checkpoint":  checkpointing,
		"while it looks at the topics": "partitions",
		"while it reads":               reading,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.append("order", "1", 1)
			b := &breaker{at: at, hang: true}
			stop := start(t, w.relayOf(w.otherPool(b)))
			if at == reading { // a batch, which the breaker does not see
				w.wait()
			} else {
				w.until("the statement", func() bool { return b.count.Load() > 0 })
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			if s := w.status(); s.Leader != "" {
				t.Error(s)
			}
		})
	}
}

// The lease is given after the relay was told to stop, and the server does not hear
// that nobody waits for it.
func TestStop_leaves_no_lease_that_comes_late(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var deaf atomic.Bool
	var unheard atomic.Int64
	begun := &counter{at: taking}
	config := w.pool.Config()
	config.ConnConfig.Tracer = begun
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if deaf.Load() {
			unheard.Add(1)
			return nil, errors.New("no way to the server for a word to cancel")
		}
		return dial(ctx, network, address)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if err := pool.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}

	locked, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locked.Exec(t.Context(), `select from asof.relay for update`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.relayOf(pgstore.New(pool)).Run(ctx) }()
	waits := func() (n int) {
		const sql = `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%' || $1 || '%'`
		if err := w.pool.QueryRow(t.Context(), sql, taking).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	w.until("it asks for the lease", func() bool { return begun.count.Load() > 0 && waits() > 0 })
	deaf.Store(true)
	cancel()
	ended := false
	select {
	case err = <-done:
		ended = true
		w.until("the word to cancel", func() bool { return unheard.Load() > 0 })
	case <-time.After(500 * time.Millisecond):
	}
	deaf.Store(false)
	if err := locked.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !ended {
		err = <-done
	}
	if err != nil {
		t.Errorf("Run: %v", err)
	}
	w.until("the server has nothing more to do", func() bool { return waits() == 0 })
	if s := w.status(); s.Leader != "" {
		t.Error(s)
	}
	if err := outbox.Repair(t.Context(), w.store, 0); err != nil {
		t.Error(err)
	}
}
