package projections_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// dedupRows counts the rows that tell which events of a stream are applied.
func (w *world) dedupRows() int64 { return w.number(`select count(*) from asof.dedup`) }

func TestLog_needs_no_row_for_a_stream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, totals(), projections.WithBatch(3))
	for i := range 10 {
		w.append(name(i), Opened{Owner: "ann"}, Deposited{Cents: 5})
	}
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := start(t, p)
	for i := range 10 {
		w.append(name(i), Deposited{Cents: int64(i)})
	}
	w.wait(p, w.append("a-1", Withdrawn{Cents: 1}))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.wantTotals("totals.totals")
	w.wantApplied("totals")
	if n := w.dedupRows(); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// The projection goes from the log to Kafka and back, each time by another program, and
// with events that Kafka has brought beyond the build's position.
func TestKind_of_source_changes_and_nothing_is_lost_or_doubled(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		for i := range 6 {
			c.append(name(i), Opened{Owner: "ann"}, Deposited{Cents: int64(i)})
		}
		for range 3 {
			fromLog := c.new(c.totals(), projections.WithBatch(5))
			stop := start(t, fromLog)
			c.wait(fromLog, c.append("a-1", Deposited{Cents: 1}))
			until(t, "no rows of streams", func() bool { return c.dedupRows()+c.number(`select count(*) from asof.offsets`) == 0 })
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			c.wantTotals("totals.totals")
			c.wantApplied("totals")

			c.append("a-5", Deposited{Cents: 5}) // while nobody runs
			fromKafka := c.projector(c.totals(), projections.WithLogCheck(never))
			stop = start(t, fromKafka)
			c.untilReading(fromKafka)
			before := c.append("a-4", Deposited{Cents: 4})
			c.publish(c.history()[before-1])
			until(t, "a message", func() bool { return c.number(`select max(position) from asof.offsets`) >= int64(before) })
			last := c.append("a-2", Deposited{Cents: 2})
			c.append("a-3", Deposited{Cents: 3}) // Kafka brings it first
			history := c.history()
			c.publish(history[len(history)-1])
			until(t, "the later event", func() bool {
				return c.number(`select coalesce(max(position), 0) from asof.offsets`) > int64(last)
			})
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			if p := c.status(fromKafka).Position; p >= last {
				t.Errorf("position %d is moved by Kafka", p)
			}
			if c.dedupRows() == 0 {
				t.Error("from Kafka no rows of streams are kept")
			}
		}
	})
}

// While the kind is changed, another process applies an event: that counts as applied.
func TestKind_of_source_changes_where_the_build_is_by_then(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		fromLog := c.new(c.totals())
		start(t, fromLog)
		c.wait(fromLog, c.append("a-1", Opened{Owner: "ann"}))
		c.note("n-1")
		letGo := c.held(`select from totals.totals for update`)
		last := c.append("a-1", Deposited{Cents: 1})
		until(t, "it has the build, and waits for its rows", func() bool { return c.number(blockedSQL) == 1 })
		fromKafka := c.projector(c.totals())
		start(t, fromKafka)
		until(t, "who changes the kind waits for the build", func() bool { return c.number(blockedSQL) == 2 })
		letGo()
		c.untilReading(fromKafka)
		c.publish(c.history()[last-1])
		c.untilRead(fromKafka)
		c.wantTotals("totals.totals")
		if n := c.dedupRows(); n != 1 {
			t.Errorf("rows of %d streams are kept, and the projection has one", n)
		}
	})
}

// Two programs of one projection, one that reads the log and one that reads Kafka: the
// one that came last feeds it, the other waits.
func TestKind_of_source_is_not_taken_from_one_another(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		c.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1})
		fromLog := c.new(c.totals())
		stopLog := start(t, fromLog)
		c.wait(fromLog, 2)
		c.wait(fromLog, c.append("a-1", Deposited{Cents: 1})) // not by its rebuild, but following
		fromKafka := c.projector(c.totals(), projections.WithLogCheck(often))
		stopKafka := start(t, fromKafka)
		c.untilReading(fromKafka)
		changes := c.number(`select counter from asof.lanes`)
		c.wait(fromKafka, c.append("a-1", Deposited{Cents: 1}))
		rest(t.Context(), 500*time.Millisecond)
		if n := c.number(`select count(*) from asof.builds where kind = 'kafka' and status = 'live'`); n != 1 {
			t.Error("it is fed from the log again")
		}
		if now := c.number(`select counter from asof.lanes`); now > changes+20 {
			t.Errorf("%d transactions for one event", now-changes)
		}
		if err := stopKafka(); err != nil {
			t.Fatal(err)
		}
		if err := stopLog(); err != nil {
			t.Fatal(err)
		}
		again := c.new(c.totals())
		start(t, again)
		c.wait(again, c.append("a-1", Deposited{Cents: 1}))
		c.wantTotals("totals.totals")
		c.wantApplied("totals")
	})
}

// A build that Kafka has fed while its position was still at the beginning.
func TestRollback_to_a_build_that_Kafka_has_fed(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		p := c.projector(c.totals(), projections.WithLogCheck(never))
		stop := start(t, p)
		c.untilReading(p) // of an empty log
		for i := range 5 {
			c.append(name(i), Opened{Owner: "ann"}, Deposited{Cents: int64(i)})
		}
		c.publish(c.history()...)
		c.untilRead(p)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if at := c.status(p).Position; at != 0 {
			t.Fatalf("position %d", at)
		}
		newer := c.totals()
		newer.Version = 2
		if err := c.new(newer).Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.append("a-1", Deposited{Cents: 7})
		if err := p.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.wantTotals("totals.totals")
		c.wantApplied("totals")
	})
}

// A position that no event has, or has yet, is nothing that a read model has reached.
func TestWaitFor_does_not_answer_for_what_does_not_exist(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	last := c.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1})
	for what, p := range map[string]*projections.Projector{
		"the log": c.new(c.balances()),
		"Kafka":   c.projector(c.totals(), projections.WithLogCheck(often)),
	} {
		start(t, p)
		c.wait(p, last)
		if err := p.WaitFor(within(t, 300*time.Millisecond), last+100); err == nil {
			t.Errorf("from %s: it is past position %d of %d", what, last+100, last)
		}
	}
}

// An event of another category is nothing that is waited for, but what comes before it is.
func TestWaitFor_an_event_that_is_none_of_the_projection(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		p := c.projector(c.totals())
		start(t, p)
		c.untilReading(p)
		c.tell("a-1", Opened{Owner: "ann"})
		c.wait(p, c.note("n-1"))
		c.wantTotals("totals.totals")
	})
}

func TestRebuild_does_not_go_on_with_what_another_definition_has_filled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 4 {
		w.append(name(i), Opened{Owner: "ann"}, Deposited{Cents: 5})
	}
	twice := totals()
	fine := twice.Apply
	var failed atomic.Bool
	twice.Apply = func(row *Total, e Event, r es.Recorded) {
		if fine(row, e, r); r.Position == 8 {
			failed.Store(true)
			panic("a bug that shows late")
		}
		fine(row, e, r) // and one that does not
	}
	var event *projections.EventError
	wrong := projections.New(w.store, twice)
	if err := wrong.Rebuild(t.Context(), projections.WithChunk(3)); !errors.As(err, &event) || !failed.Load() {
		t.Fatal(err)
	}
	if n := w.number(`select position from asof.lanes`); n == 0 {
		t.Fatal("nothing was filled")
	}
	if err := projections.New(w.store, totals()).Rebuild(t.Context(), projections.WithChunk(3)); err != nil {
		t.Fatal(err)
	}
	w.wantTotals("totals.totals")
	w.wantApplied("totals")
}

// What a program has filled it takes up again: the same definition in this process, or
// what says that it is the same program.
func TestRebuild_goes_on_with_what_its_program_has_filled(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(w *world) (first, second *projections.Projector){
		"the same projector": func(w *world) (_, _ *projections.Projector) {
			p := projections.New(w.store, totals())
			return p, p
		},
		"programs of one name": func(w *world) (_, _ *projections.Projector) {
			return projections.New(w.store, totals(), projections.WithProgram("v7")), projections.New(w.store, totals(), projections.WithProgram("v7"))
		},
		"another process of the executable": func(w *world) (_, _ *projections.Projector) {
			second := projections.New(w.store, totals())
			return projections.New(w.store, totals(), projections.WithProcess(1)), second
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for i := range 4 {
				w.append(fmt.Sprintf("a-%d", i), Opened{Owner: "ann"}, Deposited{Cents: 5})
			}
			first, second := of(w)
			ctx, cancel := context.WithCancel(t.Context())
			err := first.Rebuild(ctx, projections.WithChunk(3), projections.WithProgress(func(p projections.Progress) {
				if p.Done > 0 {
					cancel()
				}
			}))
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			build := w.number(`select max(id) from asof.builds`)
			if err := second.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			if now := w.number(`select max(id) from asof.builds`); now != build {
				t.Error("it began anew")
			}
			w.wantTotals("totals.totals")
		})
	}
}

// Two projectors have read pages that overlap: the later one applies the rest of its own.
func TestPage_of_which_another_has_applied_a_part(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	small := projections.New(w.store, totals(), projections.WithBatch(1))
	if err := small.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 2}, Deposited{Cents: 4})

	s := stallAt(t, "for update") // with the page read, before it has the build
	t.Cleanup(s.goOn)
	late := projections.New(w.otherPool(s), totals(), projections.WithBatch(10))
	stop := start(t, late)
	s.wait(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	one := w.otherPool(cancelling{"set position = greatest", cancel})
	go func() { done <- projections.New(one, totals(), projections.WithBatch(1)).Run(ctx) }()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if p := w.number(`select position from asof.lanes`); p < 2 || p > 3 {
		t.Fatalf("the other has applied up to %d", p)
	}
	s.goOn()
	w.wait(late, 4)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.wantTotals("totals.totals")
	w.wantApplied("totals")
}

// cancelling ends a context at the first statement of a kind.
type cancelling struct {
	at     string
	cancel context.CancelFunc
}

func (cancelling) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (c cancelling) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		if strings.Contains(q.SQL, c.at) {
			c.cancel()
		}
	}
	return ctx
}
func (cancelling) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (cancelling) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (cancelling) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// What Kafka has fed is held against the log when it is made live again.
func TestRollback_to_a_build_that_does_not_account_for_the_log_is_refused(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.append("a-1", Opened{Owner: "ann"})
	p := c.projector(c.totals(), projections.WithLogCheck(often))
	stop := start(t, p)
	c.untilReading(p)
	c.wait(p, c.append("a-1", Deposited{Cents: 5}))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	newer := c.totals()
	newer.Version = 2
	if err := c.new(newer).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.exec(`update asof.sums set hash = hash # 1 where build = (select id from asof.builds where status = 'retired' and kind = 'kafka')`)
	if err := p.Rollback(t.Context()); !errors.Is(err, projections.ErrVerify) {
		t.Errorf("%v", err)
	}
}

// A position that moves without events names its event too, by which a log that was put
// back is known.
func TestKafka_checkpoint_names_its_event(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	p := c.projector(c.totals(), projections.WithLogCheck(often))
	start(t, p)
	c.untilReading(p)
	last := c.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	c.publish(c.history()...)
	until(t, "the position moves", func() bool { return c.number(`select position from asof.lanes`) >= int64(last) })
	if n := c.number(`select count(*) from asof.lanes l join asof.events e using (position, event_id)`); n != 1 {
		t.Error("it names no event, or another")
	}
}

// What the log says of its streams takes as long as it takes, and is asked for in one query.
func TestKind_changes_though_the_log_lets_no_statement_last(t *testing.T) {
	t.Parallel()
	c := newClusterApart(t)
	c.append("a-1", Opened{Owner: "ann"})
	fromLog := c.new(c.totals())
	stop := start(t, fromLog)
	c.wait(fromLog, c.append("a-1", Deposited{Cents: 1}))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	log := c.logged()
	log.exec(`
		create schema slow;
		create function slow.later(was bigint, is_ bigint) returns bigint language plpgsql as $$ begin
			if current_query() like '%stream_id, max(version)%' then perform pg_sleep(0.6); end if;
			return greatest(was, is_);
		end $$;
		create aggregate slow.max(bigint) (sfunc = slow.later, stype = bigint);
		do $$ begin
			execute format('alter database %I set search_path = slow, public, pg_catalog', current_database());
			execute format('alter database %I set statement_timeout = ''500ms''', current_database());
		end $$`)
	c.store = log.otherPool(nil)
	if _, err := c.store.Pool().Exec(t.Context(), `select category, stream_id, max(version) from asof.events group by category, stream_id`); err == nil {
		t.Fatal("the query is quick: the test shows nothing")
	}
	p := c.projector(c.totals())
	start(t, p)
	c.untilReading(p)
	c.tell("a-1", Deposited{Cents: 2})
	c.untilRead(p)
	c.wantTotals("totals.totals")
	c.wantApplied("totals")
	if n := c.dedupRows(); n != 1 {
		t.Errorf("%d rows of streams", n)
	}
}

// A database that goes away while the kind is changed is no other program that has changed it.
func TestKind_of_source_is_changed_once_the_database_lets_it(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.append("a-1", Opened{Owner: "ann"})
	if err := c.new(c.totals()).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.exec(`create function asof.away() returns trigger language plpgsql as $$ begin raise 'away' using errcode = '57P01'; end $$;
		create trigger away before update on asof.builds for each row when (new.kind <> old.kind) execute function asof.away()`)
	p := c.projector(c.totals())
	start(t, p)
	until(t, "the change has failed", func() bool { return strings.Contains(c.status(p).Failure, "away") })
	c.exec(`drop trigger away on asof.builds`)
	c.untilReading(p)
	c.publish(c.history()...)
	c.untilRead(p)
	c.wantTotals("totals.totals")
}
