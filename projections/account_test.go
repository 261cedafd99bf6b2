package projections_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

// Event is what can happen to an account.
type Event interface {
	es.Event
	account()
}

type (
	Opened    struct{ Owner string }
	Deposited struct{ Cents int64 }
	Withdrawn struct{ Cents int64 }
)

func (Opened) EventType() string    { return "account.opened" }
func (Deposited) EventType() string { return "account.deposited" }
func (Withdrawn) EventType() string { return "account.withdrawn" }

func (Opened) account()    {}
func (Deposited) account() {}
func (Withdrawn) account() {}

func codec() es.Codec[Event] { return es.JSON[Event](Opened{}, Deposited{}, Withdrawn{}) }

// Balance is a row of the read model.
type Balance struct {
	Account   string    `db:"account"`
	Owner     string    `db:"owner"`
	Cents     int64     `db:"cents"`
	UpdatedAt time.Time `db:"updated_at"`
}

func balances() projections.Fold[Balance, Event] {
	return projections.Fold[Balance, Event]{
		Name: "balances", Version: 1,
		Table: `create table balances (account text primary key, owner text not null, cents bigint not null, updated_at timestamptz not null)`,
		Codec: codec(),
		Key:   func(_ Event, r es.Recorded) string { return r.Stream.ID },
		Apply: func(b *Balance, e Event, r es.Recorded) {
			b.Account, b.UpdatedAt = r.Stream.ID, r.RecordedAt
			switch e := e.(type) {
			case Opened:
				b.Owner = e.Owner
			case Deposited:
				b.Cents += e.Cents
			case Withdrawn:
				b.Cents -= e.Cents
			}
		},
	}
}

// Total is a row fed by many streams: each event counts in one of a few buckets.
type Total struct {
	Bucket string `db:"bucket"`
	Events int64  `db:"events"`
	Cents  int64  `db:"cents"`
}

func totals() projections.Fold[Total, Event] {
	return projections.Fold[Total, Event]{
		Name: "totals", Version: 1,
		Table: `create table totals (bucket text primary key, events bigint not null, cents bigint not null)`,
		Codec: codec(),
		Keys: func(_ Event, r es.Recorded) []string {
			return []string{"all", "of-" + r.Stream.ID[len(r.Stream.ID)-1:]}
		},
		Apply: func(t *Total, e Event, r es.Recorded) {
			t.Events++
			switch e := e.(type) {
			case Deposited:
				t.Cents += e.Cents
			case Withdrawn:
				t.Cents -= e.Cents
			}
		},
	}
}

// world is a store on a database of the test's own.
type world struct {
	testing.TB
	pool     *pgxpool.Pool
	store    *pgstore.Store
	codec    es.Codec[Event]
	category string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, pgstoretest.New(t))
}

func newWorldOn(t testing.TB, store *pgstore.Store) *world {
	t.Helper()
	return &world{TB: t, pool: store.Pool(), store: store, codec: codec(), category: "account"}
}

func account(id string) es.StreamID { return es.StreamID{Category: "account", ID: id} }

func (w *world) stream(id string) es.StreamID { return es.StreamID{Category: w.category, ID: id} }

func (w *world) append(id string, events ...Event) es.Position {
	w.Helper()
	data := make([]es.EventData, len(events))
	for i, event := range events {
		var err error
		if data[i], err = w.codec.Encode(w.Context(), es.StreamID{}, event); err != nil {
			w.Fatal(err)
		}
	}
	return w.appendData(w.stream(id), data...)
}

func (w *world) appendData(s es.StreamID, data ...es.EventData) es.Position {
	w.Helper()
	recorded, err := w.store.Append(w.Context(), s, es.Any, data...)
	if err != nil {
		w.Fatal(err)
	}
	return recorded[len(recorded)-1].Position
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	if _, err := w.pool.Exec(w.Context(), sql, args...); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) number(sql string, args ...any) int64 {
	w.Helper()
	var n int64
	if err := w.pool.QueryRow(w.Context(), sql, args...).Scan(&n); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
	return n
}

// history is every event of the log.
func (w *world) history() []es.RecordedEvent {
	w.Helper()
	var all []es.RecordedEvent
	for after := es.Position(0); ; {
		page, err := w.store.Read(w.Context(), after, 1000)
		if err != nil {
			w.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = page[len(page)-1].Position
	}
}

// foldBalances is what the table must hold: written without the framework.
func (w *world) foldBalances(history []es.RecordedEvent) map[string]Balance {
	w.Helper()
	def := balances()
	rows := map[string]Balance{}
	for _, recorded := range history {
		event, err := es.One(w.codec.Decode(w.Context(), nil, recorded))
		if err != nil {
			continue
		}
		b := rows[recorded.Stream.ID]
		def.Apply(&b, event, recorded.Recorded)
		rows[recorded.Stream.ID] = b
	}
	return rows
}

func (w *world) foldTotals(history []es.RecordedEvent) map[string]Total {
	w.Helper()
	def := totals()
	rows := map[string]Total{}
	for _, recorded := range history {
		event, err := es.One(w.codec.Decode(w.Context(), nil, recorded))
		if err != nil {
			continue
		}
		for _, key := range def.Keys(event, recorded.Recorded) {
			t := rows[key]
			t.Bucket = key
			def.Apply(&t, event, recorded.Recorded)
			rows[key] = t
		}
	}
	return rows
}

func tableOf[R any](w *world, table string, key func(R) string) map[string]R {
	w.Helper()
	return readTable(w, w.pool, table, key)
}

type queries interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readTable[R any](t testing.TB, db queries, table string, key func(R) string) map[string]R {
	t.Helper()
	rows, err := db.Query(t.Context(), "select * from "+table, pgx.QueryExecModeExec)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[R])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]R{}
	for _, r := range list {
		out[key(r)] = r
	}
	return out
}

func byAccount(b Balance) string { return b.Account }
func byBucket(t Total) string    { return t.Bucket }

func (w *world) wantBalances(table string) {
	w.Helper()
	same(w, w.foldBalances(w.history()), tableOf(w, table, byAccount))
}

func (w *world) wantTotals(table string) {
	w.Helper()
	same(w, w.foldTotals(w.history()), tableOf(w, table, byBucket))
}

func same[R any](t testing.TB, want, got map[string]R) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("rows differ (-want +got):\n%s", diff)
	}
}

// start runs a projector until the returned function is called, which returns what
// Run did.
func start(t testing.TB, p *projections.Projector) func() error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return stop
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func (w *world) wait(p *projections.Projector, position es.Position) {
	w.Helper()
	if err := p.WaitFor(within(w, 20*time.Second), position); err != nil {
		status, _ := p.Status(w.Context())
		w.Fatalf("%v\n%+v", err, status)
	}
}

// until polls a condition.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never happened: %s", what)
		}
	}
}

func name(i int) string { return fmt.Sprintf("a-%d", i) }

// otherPool is the store on a pool of its own, as another process has it.
func (w *world) otherPool(tracer pgx.QueryTracer) *pgstore.Store {
	w.Helper()
	config := w.pool.Config()
	config.ConnConfig.Tracer = tracer
	config.ConnConfig.RuntimeParams["application_name"] = "sleepy"
	pool, err := pgxpool.NewWithConfig(w.Context(), config)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(pool.Close)
	return pgstore.New(pool)
}

// readOnly is the store as a program has it that may only read.
func (w *world) readOnly() *pgstore.Store {
	w.Helper()
	return w.storeWith(func(config *pgxpool.Config) {
		config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	})
}

// storeWith is the store by a pool of another configuration.
func (w *world) storeWith(change func(*pgxpool.Config)) *pgstore.Store {
	w.Helper()
	config := w.pool.Config()
	change(config)
	pool, err := pgxpool.NewWithConfig(w.Context(), config)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(pool.Close)
	return pgstore.New(pool)
}
