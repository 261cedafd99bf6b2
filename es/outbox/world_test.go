package outbox_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

const source = "/test"

// world is a store on a database of the test's own, and topics of its own.
type world struct {
	testing.TB
	pool    *pgxpool.Pool
	store   *pgstore.Store
	brokers []string
	client  *kafka.Client
	prefix  string // of all topics
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldAt(t, embeddedtest.Database(t), embeddedtest.Brokers(t))
}

func newWorldAt(t testing.TB, database string, brokers []string) *world {
	t.Helper()
	w := &world{TB: t, brokers: brokers, prefix: "relay-" + strings.ToLower(rand.Text()[:10]) + "."}
	w.store = pgstoretest.Open(t, database)
	w.pool = w.store.Pool()
	var err error
	if w.client, err = kafka.New(kafka.Config{Brokers: brokers}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.client.Close(); err != nil {
			t.Errorf("close the client: %v", err)
		}
	})
	return w
}

// otherPool is the store on a pool of its own, as another process has it.
func (w *world) otherPool(tracer pgx.QueryTracer) *pgstore.Store {
	w.Helper()
	config := w.pool.Config()
	config.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(w.Context(), config)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(pool.Close)
	return pgstore.New(pool)
}

// relay returns a relay of few partitions, and with a lease that does not run out on a
// busy machine.
func (w *world) relay(options ...outbox.Option) *outbox.Relay { return w.relayOf(w.store, options...) }

func (w *world) relayOf(store *pgstore.Store, options ...outbox.Option) *outbox.Relay {
	all := []outbox.Option{outbox.WithTopicPrefix(w.prefix), outbox.WithPartitions(3), outbox.WithLease(time.Minute),
		outbox.WithLogger(slog.New(slog.NewTextHandler(w.Output(), nil)))}
	return outbox.New(store, w.client, source, append(all, options...)...)
}

// start runs a relay until the returned function is called, which returns what Run
// did.
func start(t testing.TB, r *outbox.Relay) func() error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(30 * time.Second):
			return errors.New("it does not stop")
		}
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return stop
}

// refused runs a relay that has to end by itself, and returns with what error. One that
// begins to publish fails the test at once, unless it may begin.
func (w *world) refused(mayBegin bool, store *pgstore.Store, options ...outbox.Option) error {
	w.Helper()
	active := newWatch("relay is active")
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- w.relayOf(store, append(options, outbox.WithLogger(slog.New(active)))...).Run(ctx)
	}()
	began := active.seen
	if mayBegin {
		began = nil
	}
	select {
	case err := <-done:
		return err
	case <-began:
		cancel()
		w.Fatalf("the relay goes on, and ends with %v", <-done)
	}
	return nil
}

// runs runs a relay for a moment, which is enough for what is refused at once.
func (w *world) runs(r *outbox.Relay) error {
	ctx, cancel := context.WithTimeout(w.Context(), time.Second)
	defer cancel()
	return r.Run(ctx)
}

// run runs a relay that has to end by itself: see ends.
func (w *world) run(r *outbox.Relay) <-chan error {
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	w.Cleanup(cancel)
	return done
}

func isRestored(err error) bool {
	return errors.Is(err, outbox.ErrRestored) && strings.Contains(err.Error(), "asof repair")
}

// ends waits for what a relay that runs has to end with by itself.
func (w *world) ends(done <-chan error) error {
	w.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(30 * time.Second):
		w.Fatalf("the relay does not end: %s", w.status())
	}
	return nil
}

// received waits for what a channel has to give.
func received[T any](w *world, c <-chan T) (v T) {
	w.Helper()
	select {
	case v = <-c:
	case <-time.After(30 * time.Second):
		w.Fatalf("never happened: %s", w.status())
	}
	return v
}

// signal waits for a channel to be closed.
func (w *world) signal(what string, c <-chan struct{}) {
	w.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		w.Fatalf("never happened: %s: %s", what, w.status())
	}
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	if _, err := w.pool.Exec(w.Context(), sql, args...); err != nil {
		w.Fatal(err)
	}
}

func some(n int) []es.EventData {
	list := make([]es.EventData, n)
	for i := range list {
		list[i] = es.EventData{ID: es.NewID(), Type: "test.happened", Data: fmt.Appendf(nil, `{"n":%d}`, i)}
	}
	return list
}

func (w *world) append(category, id string, n int) es.Position {
	w.Helper()
	recorded, err := w.store.Append(w.Context(), es.StreamID{Category: category, ID: id}, es.Any, some(n)...)
	if err != nil {
		w.Fatal(err)
	}
	return recorded[n-1].Position
}

// fill appends n events to each of some streams, in turns.
func (w *world) fill(category string, streams, n int) (last es.Position) {
	w.Helper()
	for range (n + 9) / 10 {
		for s := range streams {
			last = w.append(category, fmt.Sprintf("s-%d", s), min(n, 10))
		}
	}
	return last
}

// load appends from several writers until the returned function is called. A writer
// repeats an append that failed, with the same ids, for the tests that break things.
func (w *world) load(category string, writers int) func() {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	var wg sync.WaitGroup
	for writer := range writers {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				stream := es.StreamID{Category: category, ID: fmt.Sprintf("w%d-%d", writer, n%7)}
				events := some(1 + n%3)
				for {
					if _, err := w.store.Append(w.Context(), stream, es.Any, events...); err == nil || w.Context().Err() != nil {
						break
					}
					pause(w.Context(), 10*time.Millisecond)
				}
				pause(ctx, 2*time.Millisecond) // else the log grows faster than three brokers on two cores can take it
			}
		})
	}
	stop := sync.OnceFunc(func() { cancel(); wg.Wait() })
	w.Cleanup(stop)
	return stop
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (w *world) status() outbox.Status {
	w.Helper()
	return again(w, func() (outbox.Status, error) { return outbox.ReadStatus(w.Context(), w.store) })
}

// again asks until there is an answer, as some tests kill the sessions of the pool.
func again[T any](w *world, ask func() (T, error)) T {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
	defer cancel()
	for {
		answer, err := ask()
		if err == nil {
			return answer
		}
		if ctx.Err() != nil {
			w.Fatal(err)
		}
		pause(ctx, 10*time.Millisecond)
	}
}

// wait waits until all that is in the log now is published.
func (w *world) wait() {
	w.Helper()
	head := again(w, func() (es.Position, error) { return w.store.Settle(w.Context(), time.Time{}) })
	w.until(fmt.Sprintf("published up to %d", head), func() bool { return w.status().Position >= head })
}

// until polls a condition.
func (w *world) until(what string, holds func() bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	for !holds() {
		if ctx.Err() != nil {
			w.Fatalf("never happened: %s: %s", what, w.status())
		}
		pause(ctx, 5*time.Millisecond)
	}
}

// watch is a logger that tells when a message was logged.
type watch struct {
	slog.Handler
	text string
	seen chan struct{}
	once *sync.Once
}

func newWatch(text string) watch {
	return watch{Handler: slog.DiscardHandler, text: text, seen: make(chan struct{}), once: &sync.Once{}}
}

func (h watch) Enabled(context.Context, slog.Level) bool { return true }
func (h watch) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h watch) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, h.text) {
		h.once.Do(func() { close(h.seen) })
	}
	return nil
}
