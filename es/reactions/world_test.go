package reactions_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/es/reactions"
)

// Event is what the reactions of the tests read.
type Event interface{ es.Event }

type (
	// Placed is numbered in its stream, as the tests see what was reacted to.
	Placed struct{ N int }
	// Shipped has come to a second schema version.
	Shipped struct{ Parcels int }
)

func (Placed) EventType() string  { return "order.placed" }
func (Shipped) EventType() string { return "order.shipped" }
func (Shipped) EventSchema() int  { return 2 }

var codec = es.JSON[Event](Placed{}, Shipped{})

// world is a store, and a reaction that writes down what it reacts to.
type world struct {
	testing.TB
	store *pgstore.Store
	pool  *pgxpool.Pool
	log   *lines

	mu     sync.Mutex
	poison map[string]error // by "stream/N": what React fails with
}

func newWorld(t testing.TB, options ...pgstoretest.Option) *world {
	t.Helper()
	return on(t, pgstoretest.New(t, options...))
}

func on(t testing.TB, store *pgstore.Store) *world {
	t.Helper()
	w := &world{TB: t, store: store, pool: store.Pool(), log: &lines{}, poison: map[string]error{}}
	w.exec(`create table if not exists public.effects (seq bigint generated always as identity, stream text, n int)`)
	return w
}

// reaction is one that writes a row for each event, and fails with what is poison.
func (w *world) reaction() reactions.Reaction[Event] {
	return reactions.Reaction[Event]{
		Name: "count", Store: w.store, Topics: []string{"order"}, Codec: codec, React: w.react,
		Tries: 2, Pause: time.Millisecond, Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func (w *world) react(ctx context.Context, e Event, r es.Recorded, tx *pgstore.Tx) error {
	n := 0
	if placed, ok := e.(Placed); ok {
		n = placed.N
	}
	if err := w.effect(ctx, tx, r.Stream.ID, n); err != nil {
		return err
	}
	return w.fails(r.Stream.ID, n)
}

func (w *world) effect(ctx context.Context, tx *pgstore.Tx, stream string, n int) error {
	_, err := tx.Tx().Exec(ctx, `insert into public.effects (stream, n) values ($1, $2)`, stream, n)
	return err
}

func (w *world) fails(stream string, n int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch err := w.poison[fmt.Sprintf("%s/%d", stream, n)]; {
	case errors.Is(err, errPanic):
		panic("worse than an error")
	default:
		return err
	}
}

var (
	errPoison = errors.New("it is poison")
	errPanic  = errors.New("panic")
)

func (w *world) poisons(stream string, n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.poison[fmt.Sprintf("%s/%d", stream, n)] = err
}

func (w *world) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.poison)
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	if _, err := w.pool.Exec(w.Context(), sql, args...); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) number(sql string, args ...any) (n int64) {
	w.Helper()
	if err := w.pool.QueryRow(w.Context(), sql, args...).Scan(&n); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
	return n
}

// effects are the numbers that were reacted to, of a stream, in the order in which they were.
func (w *world) effects(stream string) (list []int) {
	w.Helper()
	rows, err := w.pool.Query(w.Context(), `select n from public.effects where stream = $1 order by seq`, stream)
	if err != nil {
		w.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			w.Fatal(err)
		}
		list = append(list, n)
	}
	if err := rows.Err(); err != nil {
		w.Fatal(err)
	}
	return list
}

func (w *world) wantEffects(stream string, want ...int) {
	w.Helper()
	if got := w.effects(stream); !slices.Equal(got, want) {
		w.Errorf("%s: reacted to %v, want %v", stream, got, want)
	}
}

// parked are what is parked, in short.
func (w *world) parked(names ...string) (list []string) {
	w.Helper()
	all, err := reactions.ListParked(w.Context(), w.store, names...)
	if err != nil {
		w.Fatal(err)
	}
	for _, p := range all {
		list = append(list, fmt.Sprintf("%s@%d %q tried %d behind %t", p.Stream.ID, p.Message.Offset, p.Error, p.Attempts, p.Behind > 0))
	}
	return list
}

func (w *world) wantParked(want ...string) {
	w.Helper()
	if got := w.parked(); !slices.Equal(got, want) {
		w.Errorf("parked\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// numberOf finds a parked message by its offset.
func (w *world) numberOf(offset int64) int64 {
	w.Helper()
	return w.number(`select id from asof.parked_messages where "offset" = $1`, offset)
}

// deliver has a reactor take messages, in order.
func (w *world) deliver(r *reactions.Reactor, messages ...kafka.Message) {
	w.Helper()
	for _, m := range messages {
		if err := r.Deliver(w.Context(), m); err != nil {
			w.Fatalf("offset %d: %v", m.Offset, err)
		}
	}
}

// placed is the n-th event of an order, at an offset of its partition.
func placed(stream string, n int, offset int64, headers ...kafka.Header) kafka.Message {
	return published(offset, es.RecordedEvent{Recorded: recorded(stream, n, "order.placed", 1), Data: fmt.Appendf(nil, `{"N":%d}`, n)}, headers...)
}

func recorded(stream string, n int, eventType string, schema int) es.Recorded {
	return es.Recorded{
		ID: es.NewID(), Type: eventType, Schema: schema, Stream: es.StreamID{Category: "order", ID: stream},
		Version: es.Version(n), Position: es.Position(n), RecordedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
}

func published(offset int64, e es.RecordedEvent, headers ...kafka.Header) kafka.Message {
	m := kafka.FromEvent("/orders", "order", e)
	m.Headers = append(m.Headers, headers...)
	m.Offset, m.Time = offset, time.Now()
	return m
}

// without is a message that lacks a header, or has another value there.
func with(m kafka.Message, name, value string) kafka.Message {
	m.Headers = slices.Clone(m.Headers)
	for i := range m.Headers {
		if m.Headers[i].Key == name {
			m.Headers[i].Value = []byte(value)
		}
	}
	return m
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// count is how many lines have all of the texts.
func (l *lines) count(texts ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			n++
		}
	}
	return n
}

func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// brokers gives a client, and a prefix of the test's own.
func brokers(t testing.TB) (client *kafka.Client, prefix string) {
	t.Helper()
	client, err := kafka.New(kafka.Config{Brokers: embeddedtest.Brokers(t), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client, "t" + strings.ToLower(rand.Text()[:10]) + "."
}
