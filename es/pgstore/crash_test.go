package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// deaf is a connection that loses what the server says, when told to: the server has
// done its work then.
type deaf struct {
	net.Conn
	lose *atomic.Bool
}

func (c deaf) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.lose.Swap(false) {
		return 0, errors.Join(errors.New("the answer was lost"), c.Close(), err)
	}
	return n, err
}

// An append whose answer was lost is made again with the same ids.
func TestAppend_after_a_lost_answer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var lose atomic.Bool
	store := pgstoretest.New(t, pgstoretest.Configure(func(c *pgxpool.Config) {
		c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return deaf{conn, &lose}, err
		}
	}))
	for i, want := range []es.Expected{es.NoStream, es.Exactly(2), es.Any, es.StreamExists} {
		for _, n := range []int{1, 3} {
			id := fmt.Sprint(i, " ", n)
			if want != es.NoStream {
				_, err := store.Append(ctx, stream(id), es.NoStream, someEvents(2)...)
				must(t, err)
			}
			for range 2 { // once to prepare the statement
				_, err := store.Append(ctx, stream("warm"), es.Any, someEvents(n)...)
				must(t, err)
				_, _ = store.Append(ctx, stream("warm"), want, someEvents(n)...)
			}
			events := someEvents(n)
			lose.Store(true)
			if _, err := store.Append(ctx, stream(id), want, events...); err == nil || lose.Load() {
				t.Fatalf("%s: the answer was not lost: %v", want, err)
			}
			var first []es.RecordedEvent
			for e, err := range store.ReadStream(ctx, stream(id), 1) {
				must(t, err)
				first = append(first, e)
			}
			if len(first) < n {
				t.Fatalf("%s: the append was lost, not its answer", want)
			}
			again, err := store.Append(ctx, stream(id), want, events...)
			must(t, err)
			if d := cmp.Diff(first[len(first)-n:], again); d != "" {
				t.Errorf("%s: made again, the append returns something else (-recorded +returned):\n%s", want, d)
			}
		}
	}
}

// A session that is ended in the middle of an append leaves nothing of it.
func TestAppend_whose_session_is_killed(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	rival, err := store.Pool().Begin(ctx)
	must(t, err)
	defer rival.Rollback(context.WithoutCancel(ctx))
	_, err = store.InTx(rival).Append(ctx, stream("1"), es.NoStream, someEvents(1)...)
	must(t, err)
	events := someEvents(3)
	answer := make(chan error, 1)
	go func() { // waits for the rival
		_, err := store.Append(ctx, stream("1"), es.NoStream, events...)
		answer <- err
	}()
	const waiting = `from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
	waitFor(t, store, `select exists (select `+waiting+`)`)
	must(t, exec(ctx, store.Pool(), `select pg_terminate_backend(pid) `+waiting))
	if err := <-answer; err == nil {
		t.Fatal("the append has survived its session")
	}
	must(t, rival.Rollback(ctx))
	recorded, err := store.Append(ctx, stream("1"), es.NoStream, events...)
	must(t, err)
	all, err := readAll(ctx, store, 0)
	must(t, err)
	if len(all) != 3 || recorded[0].Version != 1 {
		t.Errorf("the log has %v", all)
	}
}

// TestServer_is_killed_under_load: what was acknowledged is there, what was not is made
// again and is there once, and a reader that followed all the time missed nothing.
func TestServer_is_killed_under_load(t *testing.T) {
	t.Parallel()
	const crashes, appendsBetween, appenders = 3, 150, 8
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL(), pgstoretest.MaxConns(30))
	ctx := within(t, 3*time.Minute)
	var (
		up       sync.RWMutex // held while the server is down
		acked    atomic.Int64
		failed   atomic.Int64
		finished atomic.Bool
		mu       sync.Mutex
		written  = map[place]es.RecordedEvent{}
		wg       sync.WaitGroup
	)
	wait := func() { up.RLock(); up.RUnlock() } //nolint:staticcheck // waits until the server is up
	for w := range appenders {
		wg.Go(func() {
			own := es.Version(0)
			for n := 0; !finished.Load() && ctx.Err() == nil; n++ {
				s, want := stream(fmt.Sprint("own ", w)), es.Exactly(own)
				if n%3 == 0 {
					s, want = stream("shared"), es.Any
				}
				events := someEvents(1 + n%2)
				recorded, err := store.Append(ctx, s, want, events...)
				for err != nil && ctx.Err() == nil {
					if errors.Is(err, es.ErrConflict) || errors.Is(err, es.ErrDuplicateID) {
						t.Errorf("an append that was made again: %v", err)
						return
					}
					failed.Add(1)
					wait()
					recorded, err = store.Append(ctx, s, want, events...)
				}
				if n%3 != 0 && err == nil {
					own = recorded[len(recorded)-1].Version
				}
				acked.Add(1)
				mu.Lock()
				for _, e := range recorded {
					written[place{e.Stream, e.Version}] = e
				}
				mu.Unlock()
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	crashed := make(chan struct{})
	go func() {
		defer close(crashed)
		for i := range crashes {
			for acked.Load() < int64((i+1)*appendsBetween) && ctx.Err() == nil {
				pause(ctx, time.Millisecond)
			}
			func() {
				up.Lock()
				defer up.Unlock()
				server.Kill()
				server.Restart()
			}()
		}
		for acked.Load() < (crashes+1)*appendsBetween && ctx.Err() == nil {
			pause(ctx, time.Millisecond)
		}
		finished.Store(true)
	}()

	delivered := map[place]es.RecordedEvent{}
	last := map[es.StreamID]es.Version{}
	var cursor es.Position
	for over := false; ctx.Err() == nil; {
		select {
		case <-done:
			over = true
		default:
		}
		events, err := store.Read(ctx, cursor, 200)
		if err != nil {
			wait()
			continue
		}
		for _, e := range events {
			if e.Position <= cursor || e.Version != last[e.Stream]+1 {
				t.Errorf("after position %d came %s version %d at %d, after version %d", cursor, e.Stream, e.Version, e.Position, last[e.Stream])
			}
			cursor, last[e.Stream] = e.Position, e.Version
			delivered[place{e.Stream, e.Version}] = e
		}
		if over && len(events) == 0 {
			break
		}
	}
	<-done
	<-crashed
	if d := cmp.Diff(written, delivered); d != "" {
		t.Errorf("the log is not what was acknowledged (-acknowledged +delivered):\n%s", d)
	}
	if failed.Load() < crashes {
		t.Errorf("only %d appends failed: the crashes met nobody", failed.Load())
	}
	t.Logf("%d appends acknowledged, %d failed and were made again, %d events", acked.Load(), failed.Load(), len(delivered))
}
