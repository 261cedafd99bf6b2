package inbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// world is a store on a database of the test's own.
type world struct {
	testing.TB
	pool  *pgxpool.Pool
	store *pgstore.Store
}

func newWorld(t testing.TB) *world {
	t.Helper()
	store := pgstoretest.New(t)
	return &world{TB: t, pool: store.Pool(), store: store}
}

func (w *world) number(sql string, args ...any) (n int64) {
	w.Helper()
	if err := w.pool.QueryRow(w.Context(), sql, args...).Scan(&n); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (w *world) text(sql string, args ...any) (text string) {
	w.Helper()
	if err := w.pool.QueryRow(w.Context(), sql, args...).Scan(&text); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
	return text
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	if _, err := w.pool.Exec(w.Context(), sql, args...); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

// want checks how many events were appended and how many messages noted.
func (w *world) want(events, messages int64) {
	w.Helper()
	if n := w.number(`select count(*) from asof.events`); n != events {
		w.Fatalf("%d events were appended, not %d", n, events)
	}
	if n := w.number(`select count(*) from asof.inbox`); n != messages {
		w.Fatalf("%d messages are noted, not %d", n, messages)
	}
}

// delivered is a message as a subscriber delivers it, with the headers of what a relay
// publishes.
func delivered(source string, e es.RecordedEvent, headers ...kafka.Header) *message.Message {
	published := kafka.FromEvent(source, e.Stream.Category, e)
	m := message.NewMessage(e.ID.String(), published.Value)
	for _, h := range append(published.Headers, headers...) {
		m.Metadata[h.Key] = string(h.Value)
	}
	m.Metadata[kafka.MetadataTopic] = e.Stream.Category
	m.Metadata[kafka.MetadataPartition], m.Metadata[kafka.MetadataOffset] = "0", "7"
	return m
}

// placed is the event of an order, as another service's log has it.
func placed(order string, version es.Version, position es.Position) es.RecordedEvent {
	return es.RecordedEvent{
		Recorded: es.Recorded{
			ID: es.NewID(), Type: "order.placed", Schema: 1, Stream: es.StreamID{Category: "order", ID: order},
			Version: version, Position: position, RecordedAt: time.Now().UTC().Truncate(time.Microsecond),
		},
		Data: []byte(`{}`),
	}
}

// reserveFor is reserve for a handler of events.
func reserveFor(ctx context.Context, _ es.RecordedEvent, tx *pgstore.Tx) error {
	return reserve(ctx, tx)
}

func stock() es.StreamID { return es.StreamID{Category: "stock", ID: "p-1"} }

func reserved(ctx context.Context) es.EventData {
	return es.EventData{ID: es.NewID(), Type: "stock.reserved", Data: []byte(`{}`), Metadata: es.MetadataFrom(ctx)}
}

// reserve is a reaction that appends one event.
func reserve(ctx context.Context, tx *pgstore.Tx) error {
	_, err := tx.Append(ctx, stock(), es.Any, reserved(ctx))
	return err
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
