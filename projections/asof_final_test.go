package projections_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

// A read model as of a moment, asked for while writers append and one append after the
// other stays open: it is the same at once, afterwards, and by the log's own fold.
func TestAsOf_is_final_under_load(t *testing.T) {
	t.Parallel()
	const moments, writers = 60, 8
	w := newWorld(t)
	w.append("a-0", Opened{Owner: "ann"})
	p := projections.New(w.store, totals())
	writing, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for i := 0; writing.Err() == nil && i < 200; i++ {
				w.append(name(n), Deposited{Cents: int64(i)})
				rest(writing, 10*time.Millisecond)
			}
		})
	}
	wg.Go(func() {
		for writing.Err() == nil {
			if err := openForAWhile(writing, w); err != nil && writing.Err() == nil {
				t.Error(err)
			}
		}
	})
	type answer struct {
		at   es.AsOf
		rows map[string]Total
	}
	var answers []answer
	for range moments {
		var now time.Time
		if err := w.pool.QueryRow(t.Context(), `select clock_timestamp()`).Scan(&now); err != nil {
			t.Fatal(err)
		}
		at := es.AtTime(now)
		var rows map[string]Total
		read := func() error {
			return p.AsOf(t.Context(), at, func(_ context.Context, tx pgx.Tx) error {
				rows = readTable(w, tx, "totals", byBucket)
				return nil
			})
		}
		err := read()
		for errors.Is(err, es.ErrNotSettled) { // its microsecond is not over
			err = read()
		}
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer{at, rows})
	}
	stop()
	wg.Wait()
	history := w.history()
	for _, a := range answers {
		same(t, w.foldTotals(prefix(history, a.at)), a.rows)
		same(t, a.rows, asOf(w, p, a.at, "totals", byBucket))
	}
}

// openForAWhile appends in a transaction that is committed some milliseconds later.
func openForAWhile(ctx context.Context, w *world) error {
	return pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		data, err := w.codec.Encode(ctx, es.StreamID{}, Deposited{Cents: 1})
		if err == nil {
			_, err = w.store.InTx(tx).Append(ctx, w.stream("slow"), es.Any, data)
		}
		rest(ctx, 15*time.Millisecond)
		return err
	})
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// As many as the pool has connections read the past at once, and more: none waits for a
// second connection.
func TestAsOf_takes_one_connection(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t, pgstoretest.MaxConns(2))
	w := newWorldOn(t, store)
	last := w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	p := projections.New(store, balances())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := p.AsOf(ctx, es.AtPosition(last), func(ctx context.Context, tx pgx.Tx) error {
				rest(ctx, 20*time.Millisecond)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// The database is put back under a projector that runs, with its books: it goes on from
// where they are, and what is appended then is in the read model once.
func TestProjector_goes_on_after_its_database_was_put_back(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	w := newWorldOn(t, store)
	p := projections.New(store, balances())
	start(t, p)
	w.wait(p, w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5}))
	backup := server.Backup()
	for range 5 {
		w.wait(p, w.append("a-2", Deposited{Cents: 1}))
	}
	server.Restore(backup)
	other := pgstore.New(server.Pool())
	var last es.Position
	until(t, "the database answers", func() bool {
		data, err := w.codec.Encode(t.Context(), es.StreamID{}, Deposited{Cents: 70})
		if err != nil {
			t.Fatal(err)
		}
		recorded, err := other.Append(t.Context(), w.stream("a-3"), es.Any, data)
		if err == nil {
			last = recorded[0].Position
		}
		return err == nil
	})
	for range 10 { // past the position where the projector was
		data, err := w.codec.Encode(t.Context(), es.StreamID{}, Deposited{Cents: 1})
		if err != nil {
			t.Fatal(err)
		}
		recorded, err := other.Append(t.Context(), w.stream("a-4"), es.Any, data)
		if err != nil {
			t.Fatal(err)
		}
		last = recorded[0].Position
	}
	w.wait(p, last)
	newWorldOn(t, other).wantBalances("balances.balances") // its own store has read what is lost
}

// The same without a connection that breaks: the past comes back between two reads.
func TestProjector_goes_on_when_the_past_comes_back_under_its_connections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, balances())
	start(t, p)
	then := w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	w.wait(p, then)
	w.wait(p, w.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 2}))
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error { return bringBack(t.Context(), tx) })
	if err != nil {
		t.Fatal(err)
	}
	other := newWorldOn(t, pgstore.New(w.pool))
	w.wait(p, other.append("a-1", Deposited{Cents: 70}))
	w.wait(p, other.append("a-2", Opened{Owner: "ben"}))
	other.wantBalances("balances.balances")
}

// The same between a page that was read and its transaction.
func TestBatch_of_a_log_that_was_put_back_is_not_applied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, balances())
	start(t, p)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	w.wait(p, w.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 2}))
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `select from asof.builds for update`); err != nil {
			return err
		}
		w.append("a-2", Opened{Owner: "ghost"}, Deposited{Cents: 1_000})
		until(t, "the projector has read it and waits for its build", func() bool {
			return w.number(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%builds where id%for update%'`) > 0
		})
		return bringBack(t.Context(), tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	other := newWorldOn(t, pgstore.New(w.pool))
	w.wait(p, other.append("a-1", Deposited{Cents: 70}))
	other.wantBalances("balances.balances")
}

// bringBack makes the log, the books and the read model what they were at position 2.
func bringBack(ctx context.Context, tx pgx.Tx) error {
	for _, sql := range []string{
		`select set_config('session_replication_role', 'replica', true)`, // no trigger refuses it
		`delete from asof.events where position > 2`,
		`update asof.settled_head set position = least(position, 2), moment = null, moment_position = 0`,
		`update asof.lanes set position = 2, event_id = (select event_id from asof.events where position = 2)`,
		`update asof.sums s set (events, hash) = (select count(*), bit_xor(uuid_hash_extended(event_id, 0)) from asof.events e where e.category = s.category)`,
		`update balances.balances set cents = 5`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}
