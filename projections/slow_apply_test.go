package projections_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// witness looks, while Apply runs, whether its program has a transaction open.
type witness struct {
	*world
	asked, open atomic.Int64
}

// idleSQL names the transactions of the program that wait for it. Others of its goroutines
// may have short ones.
const idleSQL = `
select coalesce(array_agg(format('%s %s', pid, xact_start) order by pid), '{}') from pg_stat_activity
where datname = current_database() and application_name = 'sleepy' and state like 'idle in transaction%'`

// look is called by Apply.
func (w *witness) look() {
	w.asked.Add(1)
	var before map[string]bool
	for range 20 {
		var list []string
		if err := w.pool.QueryRow(context.Background(), idleSQL).Scan(&list); err != nil {
			w.Error(err)
			return
		}
		now := map[string]bool{}
		for _, open := range list {
			now[open] = before == nil || before[open]
			if !now[open] {
				delete(now, open)
			}
		}
		if before = now; len(now) == 0 {
			return
		}
		<-time.After(2 * time.Millisecond)
	}
	w.open.Add(1)
}

func (w *witness) check() {
	w.Helper()
	if asked, open := w.asked.Load(), w.open.Load(); asked == 0 || open > 0 {
		w.Errorf("Apply has run %d times, with a transaction open %d times", asked, open)
	}
}

func (w *witness) totals(def projections.Fold[Total, Event]) projections.Fold[Total, Event] {
	inner := def.Apply
	def.Apply = func(row *Total, e Event, r es.Recorded) { w.look(); inner(row, e, r) }
	return def
}

func (w *witness) balances(def projections.Fold[Balance, Event]) projections.Fold[Balance, Event] {
	inner := def.Apply
	def.Apply = func(row *Balance, e Event, r es.Recorded) { w.look(); inner(row, e, r) }
	return def
}

// sleepy is a target as a program has it that a witness knows.
func (w *world) sleepy() projections.Target { return projections.In(w.otherPool(nil).Pool(), "asof") }

func (c *cluster) fromKafka() projections.Option {
	return projections.FromKafka(newClient(c, c.brokers...), projections.WithLogCheck(never))
}

// readsFirst runs a projector, which reads an event.
func (c *cluster) readsFirst(p *projections.Projector) {
	c.Helper()
	start(c, p)
	c.untilReading(p)
	c.tell("a-1", Opened{Owner: "ann"})
	c.untilRead(p)
}

func TestApply_runs_with_no_transaction_open(t *testing.T) {
	t.Parallel()
	t.Run("from the log", func(t *testing.T) {
		t.Parallel()
		w := &witness{world: newWorld(t)}
		p := projections.New(w.otherPool(nil), w.totals(totals()))
		w.append("a-1", Opened{Owner: "ann"})
		start(t, p)
		w.wait(p, w.append("a-1", Deposited{Cents: 1}))
		w.check()
	})
	t.Run("from Kafka beside the log", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t)
		w := &witness{world: c.world}
		p := projections.New(c.otherPool(nil), w.totals(c.totals()), c.fromKafka())
		c.readsFirst(p)
		w.check()
		c.wantTotals("totals.totals")
	})
	t.Run("in lanes", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t)
		w := &witness{world: c.world}
		p := projections.New(c.otherPool(nil), w.balances(c.balances()), c.fromKafka())
		c.readsFirst(p)
		w.check()
		c.wantBalances("balances.balances")
	})
	t.Run("of several partitions together, over a gap", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t)
		w := &witness{world: c.world}
		p := projections.New(c.otherPool(nil), w.totals(c.totals()), c.fromKafka())
		start(t, p)
		c.untilReading(p)
		events := c.everywhere(0)
		c.append("a-0-0", Deposited{Cents: 1}, Deposited{Cents: 2})
		letGo := c.held(`select from asof.builds for update`)
		c.publish(append(events[1:], c.history()[len(events)+1:]...)...) // the first of a-0-0, and the second, are missing
		until(t, "a batch waits", func() bool { return c.number(blockedSQL) > 0 })
		letGo()
		c.untilRead(p)
		w.check()
		c.wantTotals("totals.totals")
	})
	t.Run("from topics alone, and when they are read again", func(t *testing.T) {
		t.Parallel()
		g := newGuest(t)
		w := &witness{world: g.target}
		p := projections.New(g.target.sleepy(), w.totals(g.totals()), g.fromKafka())
		start(t, p)
		g.untilAll(p)
		g.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1}, Deposited{Cents: 2})
		e := g.history()
		g.tell(eventSource, g.life, e[0], e[2])
		g.untilAll(p)
		g.tell(eventSource, g.life, e[1])
		until(t, "the stream is whole", func() bool { s := g.status(p); return s.Lag == 0 && s.Gaps == nil })
		w.check()
		g.wantTotals()
	})
	t.Run("in a rebuild from the log, of which the database refuses something", func(t *testing.T) {
		t.Parallel()
		w := &witness{world: newWorld(t)}
		def := w.balances(balances())
		def.Order = projections.OneStream
		def.Table += `; alter table balances add check (cents < 1000)`
		w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1})
		w.append("a-2", Deposited{Cents: 2000})
		p := projections.New(w.otherPool(nil), def)
		if err := p.Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.check()
		wantParked(t, p, w.store, 1)
	})
	t.Run("in a rebuild from topics alone", func(t *testing.T) {
		t.Parallel()
		g := newGuest(t)
		w := &witness{world: g.target}
		g.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1})
		g.tell(eventSource, g.life, g.history()...)
		p := projections.New(g.target.sleepy(), w.totals(g.totals()), g.fromKafka())
		for range 2 {
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w.check()
		g.wantTotals()
	})
	t.Run("in a retry", func(t *testing.T) {
		t.Parallel()
		w := &witness{world: newWorld(t)}
		mended := new(atomic.Bool)
		def := poisonedBalances(mended)
		inner := def.TryApply
		def.TryApply = func(b *Balance, e Event, r es.Recorded) error { w.look(); return inner(b, e, r) }
		w.append("a-1", Deposited{Cents: failsEverywhere}, Deposited{Cents: 1})
		p := projections.New(w.otherPool(nil), def)
		if err := p.Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		mended.Store(true)
		w.asked.Store(0)
		if done, err := p.RetryAll(t.Context()); err != nil || done.Applied != 2 {
			t.Errorf("%+v, %v", done, err)
		}
		w.check()
		w.wantBalances("balances.balances")
	})
}

// limited is a target as a role has it whose statements and idle transactions the database
// ends soon. The framework asks for more time in its own: who does not is ended here.
func (w *world) limited() *pgstore.Store {
	const name = "limited"
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if _, err := w.pool.Exec(ctx, endIdleSQL, name); err != nil && ctx.Err() == nil {
				w.Error(err)
			}
			<-time.After(20 * time.Millisecond)
		}
	}()
	w.Cleanup(func() { cancel(); <-ended })
	return w.storeWith(func(config *pgxpool.Config) {
		config.ConnConfig.RuntimeParams["application_name"] = name
		config.ConnConfig.RuntimeParams["statement_timeout"] = "1s"
		config.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "500ms"
	})
}

// endIdleSQL ends sessions that have kept a transaction open for long without asking for
// anything. Bind: $1 name of the program.
const endIdleSQL = `
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and application_name = $1 and state like 'idle in transaction%' and xact_start < clock_timestamp() - interval '500 ms'`

// A batch that Apply takes longer for than a transaction may last is applied.
func TestApply_that_is_slow_gets_on(t *testing.T) {
	t.Parallel()
	const events, each = 150, 10 * time.Millisecond
	slow := func(def projections.Fold[Total, Event]) projections.Fold[Total, Event] {
		inner := def.Apply
		def.Apply = func(row *Total, e Event, r es.Recorded) {
			if row.Bucket == "all" {
				<-time.After(each)
			}
			inner(row, e, r)
		}
		return def
	}
	fill := func(c *cluster) {
		for range events {
			c.append("a-1", Deposited{Cents: 1})
		}
	}
	t.Run("from Kafka beside the log", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t)
		p := projections.New(c.limited(), slow(c.totals()), c.fromKafka())
		start(t, p)
		c.untilReading(p)
		fill(c)
		c.publish(c.history()...)
		c.untilRead(p)
		c.wantTotals("totals.totals")
	})
	t.Run("from topics alone", func(t *testing.T) {
		t.Parallel()
		g := newGuest(t)
		p := projections.New(projections.In(g.target.limited().Pool(), "asof"), slow(g.totals()), g.fromKafka())
		start(t, p)
		g.untilAll(p)
		fill(g.cluster)
		g.tell(eventSource, g.life, g.history()...)
		g.untilAll(p)
		g.wantTotals()
	})
}

// Looking up rows may take longer than the role's statements may.
func TestKafka_rows_are_looked_up_for_as_long_as_it_takes(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	store := c.storeWith(func(config *pgxpool.Config) {
		config.ConnConfig.RuntimeParams["application_name"] = "limited"
		config.ConnConfig.RuntimeParams["statement_timeout"] = "300ms"
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // or it waits where the statement is prepared
	})
	p := projections.New(store, c.totals(), c.fromKafka())
	start(t, p)
	c.untilReading(p)
	letGo := c.held(`lock table totals.totals`)
	c.tell("a-1", Opened{Owner: "ann"})
	until(t, "it waits for longer", func() bool {
		return c.number(`
			select count(*) from pg_stat_activity
			where datname = current_database() and application_name = 'limited' and wait_event_type = 'Lock' and query_start < clock_timestamp() - interval '600 ms'`) > 0
	})
	letGo()
	c.untilRead(p)
	c.wantTotals("totals.totals")
}

// A read as of a moment needs a transaction for all of its replay, which the database does not
// end meanwhile.
func TestAsOf_with_a_slow_Apply_keeps_its_transaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := w.storeWith(func(config *pgxpool.Config) {
		config.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "50ms"
	})
	def := totals()
	inner := def.Apply
	def.Apply = func(row *Total, e Event, r es.Recorded) { <-time.After(300 * time.Millisecond); inner(row, e, r) }
	last := w.append("a-1", Opened{Owner: "ann"})
	err := projections.New(store, def).AsOf(t.Context(), es.AtPosition(last), func(ctx context.Context, tx pgx.Tx) error {
		var n, limit string
		if err := tx.QueryRow(ctx, `select count(*)::text, current_setting('idle_in_transaction_session_timeout') from totals`).Scan(&n, &limit); err != nil {
			return err
		}
		if n == "0" || limit != "50ms" {
			t.Errorf("%s rows, and the reader may stand still for %s", n, limit)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// What the live build lacks of the shadow is applied before the switch has its locks.
func TestRebuild_with_a_slow_Apply_leaves_little_to_the_switch(t *testing.T) {
	t.Parallel()
	w := &witness{world: newWorld(t)}
	def := w.balances(balances())
	looks := def.Apply
	def.Apply = func(row *Balance, e Event, r es.Recorded) {
		if _, slow := e.(Deposited); slow {
			<-time.After(600 * time.Millisecond)
			looks(row, e, r)
		}
	}
	w.append("a-1", Opened{Owner: "ann"})
	p := projections.New(w.otherPool(nil), def)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 2}, Deposited{Cents: 4})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.check()
	if n := w.number(`select cents from balances.balances`); n != 7 {
		t.Errorf("%d cents", n)
	}
}

// Once it is known that Apply is slow, a batch is as long as it takes about a second for.
func TestApply_that_is_slow_has_its_batches_cut(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	def := c.balances()
	inner := def.Apply
	def.Apply = func(row *Balance, e Event, r es.Recorded) { <-time.After(250 * time.Millisecond); inner(row, e, r) }
	p := projections.New(c.store, def, c.fromKafka())
	c.readsFirst(p)
	written := func() int64 {
		return c.number(`select sum(counter)::bigint from asof.lanes l join asof.builds b on b.id = l.build where b.status = 'live' and l.lane > 0`)
	}
	before := written()
	for range 9 {
		c.append("a-1", Deposited{Cents: 1})
	}
	c.publish(c.history()[1:]...)
	c.untilRead(p)
	if n := written() - before; n < 3 {
		t.Errorf("nine events of a quarter of a second in %d transactions", n)
	}
	c.wantBalances("balances.balances")
	c.wantApplied("balances")
}

// While a batch is folded, what was parked is retried: an event that would have waited behind
// it is applied.
func TestApply_beside_a_retry_is_done_again(t *testing.T) {
	t.Parallel()
	t.Run("in lanes", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t)
		besideRetry(t, c, func(mended *atomic.Bool, more func(string)) projections.Definition {
			def := poisonedBalances(mended)
			def.Categories = []string{c.category}
			inner := def.TryApply
			def.TryApply = func(b *Balance, e Event, r es.Recorded) error { more(r.Stream.ID); return inner(b, e, r) }
			return def
		})
		c.wantBalances("balances.balances")
		c.wantApplied("balances")
	})
	t.Run("of the whole build", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t)
		besideRetry(t, c, func(mended *atomic.Bool, more func(string)) projections.Definition {
			def := poisonedTotals(mended)
			def.Categories = []string{c.category}
			inner := def.TryApply
			def.TryApply = func(b *Total, e Event, r es.Recorded) error { more(r.Stream.ID); return inner(b, e, r) }
			return def
		})
		c.wantTotals("totals.totals")
		c.wantApplied("totals")
	})
}

func besideRetry(t *testing.T, c *cluster, define func(mended *atomic.Bool, more func(string)) projections.Definition) {
	t.Helper()
	mended := new(atomic.Bool)
	var other *projections.Projector
	var retried atomic.Bool
	good := ""
	def := define(mended, func(stream string) {
		if mended.Load() && stream == good && retried.CompareAndSwap(false, true) {
			if done, err := other.RetryAll(within(t, 10*time.Second)); err != nil || done.Applied == 0 {
				t.Errorf("%+v, %v", done, err)
			}
		}
	})
	other = projections.New(c.otherPool(nil), define(mended, func(string) {}))
	p := projections.New(c.store, def, c.fromKafka())
	start(t, p)
	c.untilReading(p)
	good = c.beside(p, "bad")
	c.tell("bad", Deposited{Cents: failsEverywhere})
	until(t, "it is parked", func() bool { return c.status(p).Parked > 0 })
	told := len(c.history())
	c.append(good, Deposited{Cents: 1})
	c.append("bad", Deposited{Cents: 2})
	mended.Store(true)
	c.publish(c.history()[told:]...)
	c.untilRead(p)
	if !retried.Load() {
		t.Error("nothing was retried while the batch was folded")
	}
	wantParked(t, p, c.store, 0)
}

// A retry that comes while it is read what is known of a batch: what was read before does not
// hold.
func TestApply_beside_a_retry_that_comes_while_it_reads_is_done_again(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	mended := new(atomic.Bool)
	def := poisonedBalances(mended)
	def.Categories = []string{c.category}
	p := projections.New(c.store, def, c.fromKafka())
	start(t, p)
	c.untilReading(p)
	c.tell("bad", Deposited{Cents: failsEverywhere})
	until(t, "it is parked", func() bool { return c.status(p).Parked > 0 })
	c.append("bad", Deposited{Cents: 2})
	last := c.history()[1]
	letGo := c.held(`lock table asof.events in access exclusive mode`)
	c.publish(last)
	until(t, "it is held against the log, which comes last", func() bool { return c.number(blockedSQL) > 0 })
	mended.Store(true)
	if done, err := projections.New(c.otherPool(nil), def).RetryAll(within(t, 10*time.Second)); err != nil || done.Applied != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	letGo()
	c.untilRead(p)
	wantParked(t, p, c.store, 0)
	c.wantBalances("balances.balances")
}

// beside returns a stream whose events go to the partition of another one's, of which the last
// message is read.
func (c *cluster) beside(p *projections.Projector, id string) string {
	c.Helper()
	c.untilRead(p)
	ends := func() (ends []int64) {
		if err := c.pool.QueryRow(c.Context(), `select array_agg(next_offset order by partition) from asof.offsets`).Scan(&ends); err != nil {
			c.Fatal(err)
		}
		return ends
	}
	of := func(id string) int {
		before := ends()
		c.tell(id, Opened{Owner: "ann"})
		c.untilRead(p)
		after := ends()
		for n := range after {
			if after[n] != before[n] {
				return n
			}
		}
		c.Fatalf("no partition has %s", id)
		return 0
	}
	want := of(id)
	for n := range 100 {
		if other := fmt.Sprintf("beside-%d", n); of(other) == want {
			return other
		}
	}
	c.Fatalf("no stream is in the partition of %s", id)
	return ""
}

// While a batch is folded, one of its events is skipped: it is not applied.
func TestApply_beside_a_skip_is_done_again(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	other := projections.New(c.otherPool(nil), c.balances())
	def := c.balances()
	inner := def.Apply
	var skip atomic.Pointer[uuid.UUID]
	def.Apply = func(b *Balance, e Event, r es.Recorded) {
		if id := skip.Swap(nil); id != nil {
			if _, err := other.Skip(within(t, 10*time.Second), *id, "it was a mistake"); err != nil {
				t.Error(err)
			}
		}
		inner(b, e, r)
	}
	p := projections.New(c.store, def, c.fromKafka())
	start(t, p)
	c.untilReading(p)
	c.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1}, Deposited{Cents: 20})
	e := c.history()
	skip.Store(&e[1].ID)
	c.publish(e...)
	c.untilRead(p)
	if n := c.number(`select cents from balances.balances`); n != 20 || skip.Load() != nil {
		t.Errorf("%d cents", n)
	}
}

// While a retry is folded, another one applies the same.
func TestRetry_beside_another_retry_applies_once(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	def := poisonedBalances(mended)
	other := projections.New(w.otherPool(nil), def)
	inner := def.TryApply
	var once atomic.Bool
	def.TryApply = func(b *Balance, e Event, r es.Recorded) error {
		if mended.Load() && once.CompareAndSwap(false, true) {
			if done, err := other.RetryAll(within(t, 10*time.Second)); err != nil || done.Applied != 2 {
				t.Errorf("the other: %+v, %v", done, err)
			}
		}
		return inner(b, e, r)
	}
	w.append("a-1", Deposited{Cents: failsEverywhere}, Deposited{Cents: 100})
	p := projections.New(w.store, def)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	mended.Store(true)
	if done, err := p.RetryAll(t.Context()); err != nil || done != (projections.Retried{}) {
		t.Errorf("%+v, %v", done, err)
	}
	wantParked(t, p, w.store, 0)
	w.wantBalances("balances.balances")
}

// Others write to the build whenever a batch is folded: it is applied all the same.
func TestApply_that_is_always_overtaken_gets_its_turn(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		def := c.totals()
		inner := def.Apply
		var overtaken atomic.Int64
		def.Apply = func(row *Total, e Event, r es.Recorded) {
			tag, err := c.pool.Exec(context.Background(), `
			update asof.lanes l set counter = counter + 1
			from (select build, lane from asof.lanes where lane = 0 for update skip locked) free
			where l.build = free.build and l.lane = free.lane`)
			if err != nil {
				t.Error(err)
			}
			overtaken.Add(tag.RowsAffected())
			inner(row, e, r)
		}
		p := c.new(def, c.fromKafka())
		start(t, p)
		c.untilReading(p)
		c.append("a-1", Deposited{Cents: 1}) // a gap, which is filled in the turn, too
		c.tell("a-1", Deposited{Cents: 2})
		c.untilRead(p)
		if n := overtaken.Load(); n < 2 || n > 10 || c.status(p).Failure != "" {
			t.Errorf("overtaken %d times: %+v", n, c.status(p))
		}
		c.wantTotals("totals.totals")
		c.wantApplied("totals")
	})
}

// The build is switched while a batch is folded, which is not waited for: it is written to
// neither build, and what Apply was given is in the new one.
func TestApply_beside_a_switch_is_fenced(t *testing.T) {
	t.Parallel()
	switched := func(t *testing.T, w *world, from projections.Option, bring func(p *projections.Projector)) {
		t.Helper()
		entered, release := make(chan struct{}, 10), make(chan struct{})
		def := balances()
		def.Categories, def.Order = []string{w.category}, projections.OneStream
		inner := def.Apply
		def.Apply = func(row *Balance, e Event, r es.Recorded) {
			if d, held := e.(Deposited); held && d.Cents == 7 {
				entered <- struct{}{}
				<-release
			}
			inner(row, e, r)
		}
		old := projections.New(w.otherPool(nil), def, from)
		stopped := make(chan error, 1)
		go func() { stopped <- old.Run(t.Context()) }()
		bring(old)
		<-entered
		newer := balances2()
		newer.Categories, newer.Order = def.Categories, projections.OneStream
		err := projections.New(w.store, newer).Rebuild(within(t, patient))
		close(release)
		if err != nil {
			t.Error(err)
		}
		if err := <-stopped; !errors.Is(err, projections.ErrNewerVersion) {
			t.Errorf("the old program: %v", err)
		}
		if n := w.number(`select moves from balances.balances where account = 'a-1'`); n != 2 {
			t.Errorf("%d moves, want 2", n)
		}
		w.wantApplied("balances")
	}
	t.Run("from the log", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		last := w.append("a-1", Opened{Owner: "ann"})
		switched(t, w, projections.WithBatch(10), func(p *projections.Projector) {
			w.wait(p, last)
			w.append("a-1", Deposited{Cents: 7})
		})
	})
	t.Run("from Kafka", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t)
		c.append("a-1", Opened{Owner: "ann"})
		switched(t, c.world, c.fromKafka(), func(p *projections.Projector) {
			c.untilReading(p)
			c.tell("a-1", Deposited{Cents: 7})
		})
	})
}
