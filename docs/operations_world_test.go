package docs_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

// Noted is the one event of the walks.
type Noted struct{ N int }

func (Noted) EventType() string { return "note.noted" }

// Count is a row of their read model: how many events a stream has.
type Count struct {
	Stream string `db:"stream"`
	Events int64  `db:"events"`
}

func counts() projections.Fold[Count, Noted] {
	return projections.Fold[Count, Noted]{
		Name: "counts", Version: 1,
		Table: `create table counts (stream text primary key, events bigint not null)`,
		Codec: es.JSON[Noted](Noted{}),
		Key:   func(_ Noted, r es.Recorded) string { return r.Stream.ID },
		Apply: func(c *Count, _ Noted, _ es.Recorded) { c.Events++ },
	}
}

// program is a process of the service: a relay, a projector and a reader of the log, on
// a pool of its own.
type program struct {
	*walk
	store     *pgstore.Store
	projector *projections.Projector
	relay     chan error // how the relay ended
	reader    chan error // how the reader ended
	stop      func()
}

// walk is one line of the table, walked.
type walk struct {
	testing.TB
	ctx    context.Context
	client *kafka.Client
	prefix string
}

func newWalk(t *testing.T) *walk {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	client, err := kafka.New(kafka.Config{Brokers: embeddedtest.Brokers(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &walk{TB: t, ctx: ctx, client: client, prefix: "walk-" + strings.ToLower(es.NewID().String()[24:]) + "."}
}

func (w *walk) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// start starts a program on a database.
func (w *walk) start(address string) *program {
	w.Helper()
	p := &program{walk: w, store: pgstoretest.Open(w, address), relay: make(chan error, 1), reader: make(chan error, 1)}
	logger := slog.New(slog.NewTextHandler(w.Output(), nil))
	p.projector = projections.New(p.store, counts(), projections.WithLogger(logger))
	ctx, cancel := context.WithCancel(w.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		p.relay <- outbox.New(p.store, w.client, "/walk", outbox.WithTopicPrefix(w.prefix), outbox.WithLogger(logger), outbox.WithLease(time.Second)).Run(ctx)
	})
	wg.Go(func() { _ = p.projector.Run(ctx) })
	wg.Go(func() { p.reader <- follow(ctx, p.store) })
	p.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	w.Cleanup(p.stop)
	return p
}

// follow reads the log as anybody may, by checkpoints of its own, and ends when the log
// is not the one that it has read.
func follow(ctx context.Context, store *pgstore.Store) error {
	var at es.Checkpoint
	for ctx.Err() == nil {
		events, err := store.ReadAfter(ctx, at, 100)
		if errors.Is(err, es.ErrRestored) || errors.Is(err, es.ErrAnotherLife) {
			return err
		}
		if n := len(events); err == nil && n > 0 {
			life, err := store.Life(ctx)
			if err == nil {
				at = es.Checkpoint{Life: life, Position: events[n-1].Position, EventID: events[n-1].ID}
			}
			continue
		}
		rest(ctx, 10*time.Millisecond)
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// append appends n events to a stream, each as soon as the database takes it.
func (p *program) append(id string, n int) (last es.RecordedEvent) {
	p.Helper()
	for i := range n {
		data, err := es.JSON[Noted](Noted{}).Encode(p.Context(), es.StreamID{}, Noted{i})
		p.must(err)
		p.until("an event is appended", func() bool {
			recorded, err := p.store.Append(p.ctx, es.StreamID{Category: "note", ID: id}, es.Any, data)
			if err == nil {
				last = recorded[0]
			}
			return err == nil
		})
	}
	return last
}

func (w *walk) until(what string, holds func() bool) {
	w.Helper()
	for !holds() {
		if w.ctx.Err() != nil {
			w.Fatalf("never happened: %s", what)
		}
		rest(w.ctx, 10*time.Millisecond)
	}
}

// right waits until all that is in the log is published and in the read model, and
// compares the two.
func (p *program) right(events int) {
	p.Helper()
	head, err := p.store.Settle(p.ctx, time.Time{})
	p.must(err)
	p.until("all is published", func() bool {
		status, err := outbox.ReadStatus(p.ctx, p.store)
		return err == nil && status.Position >= head
	})
	p.must(p.projector.WaitFor(p.ctx, head))
	var wrong, all int
	p.must(p.store.Pool().QueryRow(p.ctx, `
		select count(*) filter (where c.events is distinct from e.n), coalesce(sum(e.n), 0)
		from counts.counts c full join (select stream_id, count(*) n from asof.events group by 1) e on e.stream_id = c.stream`).Scan(&wrong, &all))
	if wrong != 0 || all != events {
		p.Errorf("%d rows of the read model are wrong, of %d events; want %d events", wrong, all, events)
	}
}

// refused waits until relay and reader have ended with what says so.
func (p *program) refused(text string) {
	p.Helper()
	for who, ended := range map[string]chan error{"relay": p.relay, "reader": p.reader} {
		select {
		case err := <-ended:
			if !errors.Is(err, es.ErrRestored) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "asof repair") {
				p.Errorf("the %s ended with %v, want es.ErrRestored, %q and what to do", who, err, text)
			}
		case <-p.ctx.Done():
			p.Fatalf("the %s goes on", who)
		}
	}
	p.stop()
}

// repair is `asof repair --from` the position of the relay.
func (w *walk) repair(address string, options ...outbox.RepairOption) {
	w.Helper()
	store := pgstoretest.Open(w, address)
	status, err := outbox.ReadStatus(w.ctx, store)
	w.must(err)
	w.until("the lease of the relay that ended is over", func() bool {
		err = outbox.Repair(w.ctx, store, status.Position, options...)
		return !errors.Is(err, outbox.ErrBusy)
	})
	w.must(err)
}

func (w *walk) exec(address string, statements ...string) {
	w.Helper()
	conn, err := pgx.Connect(w.ctx, address)
	w.must(err)
	defer conn.Close(w.ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(w.ctx, sql); err != nil {
			w.Fatalf("%s: %v", sql, err)
		}
	}
}

func (w *walk) ask(address, sql string) (answer string) {
	w.Helper()
	conn, err := pgx.Connect(w.ctx, address)
	w.must(err)
	defer conn.Close(w.ctx)
	w.must(conn.QueryRow(w.ctx, sql).Scan(&answer))
	return answer
}

// database is another database of the same server.
func (w *walk) database(address, name string) string {
	w.Helper()
	u, err := url.Parse(address)
	w.must(err)
	u.Path = "/" + name
	return u.String()
}
