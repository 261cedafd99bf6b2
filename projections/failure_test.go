package projections_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

func TestUnknown_types_are_counted_and_skipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, balances())
	w.append("a-1", Opened{Owner: "ann"})
	w.appendData(account("a-1"), es.EventData{ID: es.NewID(), Type: "account.audited", Data: []byte(`{}`)})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, p)
	w.appendData(account("a-1"), es.EventData{ID: es.NewID(), Type: "account.audited", Data: []byte(`{}`)})
	w.wait(p, w.append("a-1", Deposited{Cents: 3}))
	w.wantBalances("balances.balances")
	if s, err := p.Status(t.Context()); err != nil || s.Skipped != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
}

func TestUndecodable_event_stops_with_its_name(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, balances())
	w.append("a-1", Opened{Owner: "ann"})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("a-2", Opened{Owner: "bob"})
	w.appendData(account("a-1"), es.EventData{ID: es.NewID(), Type: "account.deposited", Data: []byte(`{"Cents":"many"}`)})
	err := p.Run(within(t, 20*time.Second))
	var event *projections.EventError
	if !errors.As(err, &event) || event.Event.Stream != account("a-1") || event.Event.Version != 2 || !errors.Is(err, es.ErrUndecodable) {
		t.Fatal(err)
	}
	if !contains(err, "balances version 1") || !contains(err, "account/a-1 version 2") {
		t.Fatalf("the text does not name the projection and the event: %v", err)
	}
	if n := w.number(`select count(*) from balances.balances`); n != 1 {
		t.Fatalf("%d rows: something of the failed batch was written", n)
	}
	if s, err := p.Status(t.Context()); err != nil || !strings.Contains(s.Failure, "account/a-1") || s.Lag != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
}

func TestPanic_in_Apply_stops_with_the_event(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := balances()
	def.Apply = func(*Balance, Event, es.Recorded) { var m map[string]int; m["x"] = 1 }
	w.append("a-1", Opened{Owner: "ann"})
	err := projections.New(w.store, def).Run(within(t, 20*time.Second))
	var event *projections.EventError
	if !errors.As(err, &event) || !contains(err, "assignment to entry in nil map") {
		t.Fatal(err)
	}
}

func TestKilled_connections_lose_and_double_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, totals(), projections.WithBatch(50))
	start(t, p)
	stop := w.load(2)
	conn, err := pgx.ConnectConfig(t.Context(), w.pool.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	killed := int64(0)
	until(t, "batches killed", func() bool {
		var n int64
		err := conn.QueryRow(t.Context(), `
			select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
			  and xact_start is not null and query ~ '[.](builds|lanes|sums) '`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		killed += n
		return killed >= 8
	})
	last := stop()
	until(t, "the pool has no dead session left", func() bool {
		return w.pool.Ping(t.Context()) == nil && p.WaitFor(within(t, 20*time.Second), last) == nil
	})
	w.wantTotals("totals.totals")
}

func TestSeveral_projectors_take_turns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []*projections.Projector
	for range 4 {
		p := projections.New(w.store, totals(), projections.WithBatch(20))
		start(t, p)
		all = append(all, p)
	}
	end := w.load(3)
	until(t, "2000 events", func() bool { return w.number(`select coalesce(max(position), 0) from asof.events`) > 2000 })
	last := end()
	w.wait(all[0], last)
	w.wantTotals("totals.totals")
	w.wantApplied("totals")
	if n := w.number(`select count(*) from asof.builds`); n != 1 {
		t.Errorf("they have made %d builds", n)
	}
}

// wantApplied checks that the live build has applied what stands in the log.
func (w *world) wantApplied(name string) {
	w.Helper()
	logged, err := w.store.Sums(w.Context(), 0, math.MaxInt64)
	if err != nil {
		w.Fatal(err)
	}
	rows, err := w.pool.Query(w.Context(), `
		select category, sum(events)::bigint, bit_xor(hash)
		from asof.sums s join asof.builds b on b.id = s.build and b.status = 'live' and b.name = $1 group by category`, name)
	if err != nil {
		w.Fatal(err)
	}
	applied := map[string]pgstore.Sum{}
	var category string
	var events, hash int64
	_, err = pgx.ForEachRow(rows, []any{&category, &events, &hash}, func() error {
		applied[category] = pgstore.Sum{Events: events, Hash: uint64(hash)} //nolint:gosec // the bits count, not the number
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	if diff := cmp.Diff(logged, applied); diff != "" {
		w.Fatalf("other events are applied than stand in the log (-log +applied):\n%s", diff)
	}
}

// stall holds a connection up at a statement, as a process that is stopped: at the first that
// comes while the test waits, or since it is armed.
type stall struct {
	at      string
	armed   atomic.Bool
	reached chan struct{}
	awake   chan struct{}
	goOn    func() // ends it
}

func stallAt(t testing.TB, sql string) *stall {
	t.Helper()
	s := &stall{at: sql, reached: make(chan struct{}), awake: make(chan struct{})}
	s.goOn = sync.OnceFunc(func() { close(s.awake) })
	return s
}

// wait returns when a connection stands still.
func (s *stall) wait(t testing.TB) {
	t.Helper()
	select {
	case <-s.reached:
	case <-within(t, 20*time.Second).Done():
		t.Fatalf("no connection came to %q", s.at)
	}
}

func (s *stall) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		s.hold(q.SQL)
	}
	return ctx
}

func (s *stall) hold(sql string) {
	if strings.Contains(sql, s.at) {
		if s.armed.CompareAndSwap(true, false) { // whether the test waits already or not
			select {
			case s.reached <- struct{}{}:
				<-s.awake
			case <-s.awake:
			}
			return
		}
		select {
		case s.reached <- struct{}{}:
			<-s.awake
		default:
		}
	}
}
func (*stall) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*stall) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
func (s *stall) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.hold(data.SQL)
	return ctx
}
func (*stall) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func TestZombie_writes_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	p := projections.New(w.store, totals())
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := w.append("a-1", Deposited{Cents: 3})

	s := stallAt(t, "set position = greatest")
	s.armed.Store(true)
	sleepy := w.otherPool(s)
	t.Cleanup(s.goOn)
	zombie := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { zombie <- projections.New(sleepy, totals()).Run(ctx) }()
	s.wait(t) // it holds the build's lock, with its writes still to be sent

	// The database ends its session, as it does after a minute; another goes on.
	w.exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'sleepy'`)
	start(t, p)
	w.wait(p, last)
	s.goOn()
	w.wait(p, w.append("a-2", Deposited{Cents: 4}))
	cancel()
	if err := <-zombie; err != nil {
		t.Fatal(err)
	}
	w.wantTotals("totals.totals")
}

func TestInvalid_definitions_are_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	change := func(f func(*projections.Fold[Balance, Event])) projections.Definition {
		def := balances()
		f(&def)
		return def
	}
	type untagged struct {
		A int `db:"-"`
	}
	for text, def := range map[string]projections.Definition{
		"1 to 40 of a-z":      change(func(d *projections.Fold[Balance, Event]) { d.Name = "Balances; drop" }),
		"schema of Postgres":  change(func(d *projections.Fold[Balance, Event]) { d.Name = "public" }),
		"older version":       change(func(d *projections.Fold[Balance, Event]) { d.Name = "balances_v2" }),
		"count from 1":        change(func(d *projections.Fold[Balance, Event]) { d.Version = 0 }),
		"DDL is missing":      change(func(d *projections.Fold[Balance, Event]) { d.Table = " " }),
		"needs Codec":         change(func(d *projections.Fold[Balance, Event]) { d.Codec = nil }),
		"one of Key and Keys": change(func(d *projections.Fold[Balance, Event]) { d.Key = nil }),
		"syntax error":        change(func(d *projections.Fold[Balance, Event]) { d.Table = "create tabel x" }),
		"makes no table":      change(func(d *projections.Fold[Balance, Event]) { d.Table = "create sequence s" }),
		"needs a primary key": change(func(d *projections.Fold[Balance, Event]) { d.Table = "create table balances (account text)" }),
		`no column "owner"`:   change(func(d *projections.Fold[Balance, Event]) { d.Table = "create table b (account text primary key)" }),
		"column extra": change(func(d *projections.Fold[Balance, Event]) {
			d.Table = strings.Replace(d.Table, "owner", "extra int not null, owner", 1)
		}),
		"makes the tables":                  change(func(d *projections.Fold[Balance, Event]) { d.Table += "; create table other (x int)" }),
		"no field with a db tag":            projections.Fold[untagged, Event]{Name: "x", Version: 1, Table: "-", Codec: codec(), Key: func(Event, es.Recorded) string { return "" }, Apply: func(*untagged, Event, es.Recorded) {}},
		"a Statements needs Codec and Appl": projections.Statements[Event]{Name: "x", Version: 1, Tables: "create table x ()"},
	} {
		p := projections.New(w.store, def)
		if err := p.Run(within(t, 5*time.Second)); !errors.Is(err, projections.ErrInvalid) || !contains(err, text) {
			t.Errorf("want %q, got %v", text, err)
		}
	}
	if n := w.number(`select count(*) from asof.builds`); n != 0 {
		t.Errorf("%d builds were left", n)
	}
}

func TestDDL_or_categories_changed_without_the_version_is_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := projections.New(w.store, balances()).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	changed, narrowed := balances(), balances()
	changed.Table = strings.Replace(changed.Table, "bigint", "numeric", 1)
	narrowed.Categories = []string{"account"} // what it then misses, it would never find again
	for _, def := range []projections.Fold[Balance, Event]{changed, narrowed} {
		if err := projections.New(w.store, def).Run(within(t, 5*time.Second)); !errors.Is(err, projections.ErrInvalid) || !contains(err, "raise Version") {
			t.Error(err)
		}
	}
}
