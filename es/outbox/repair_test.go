package outbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
)

// open appends an event in a transaction that stays open.
func (w *world) open(id string) pgx.Tx {
	w.Helper()
	tx, err := w.pool.Begin(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = w.store.InTx(tx).Append(w.Context(), es.StreamID{Category: "order", ID: id}, es.NoStream, some(1)...)
	if err != nil {
		w.Fatal(err)
	}
	return tx
}

// An event that commits below the position from which the relay goes on would never be
// published.
func TestRepair_waits_for_an_append_that_is_open(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(context.Context, pgx.Tx) error{
		"which commits":    func(ctx context.Context, tx pgx.Tx) error { return tx.Commit(ctx) },
		"which rolls back": func(ctx context.Context, tx pgx.Tx) error { return tx.Rollback(ctx) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.append("order", "1", 1)
			tx := w.open("open")
			last := w.append("order", "1", 1)
			done := make(chan error, 1)
			go func() { done <- outbox.Repair(w.Context(), w.store, last) }()
			w.until("the repair to wait", func() bool {
				if len(done) > 0 {
					t.Fatalf("the repair does not wait: %v", <-done)
				}
				return w.waiting() == 1
			})
			w.must(end(t.Context(), tx))
			err := w.ends(done)
			switch {
			case what == "which rolls back":
				w.must(err)
			case !errors.Is(err, es.ErrNotSettled) || !strings.Contains(err.Error(), "put 1 events at or below position 3"):
				t.Errorf("the event that was committed would not be published: %v", err)
			}
			w.must(outbox.Repair(w.Context(), w.store, 0))
			start(t, w.relay())
			w.wait()
			w.verify("order")
		})
	}
}

// waiting counts the sessions that wait for a lock.
func (w *world) waiting() (n int) {
	w.Helper()
	err := w.pool.QueryRow(w.Context(), `select count(*) from pg_locks where not granted and locktype = 'advisory'
		and database = (select oid from pg_database where datname = current_database())`).Scan(&n)
	w.must(err)
	return n
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// A repair that gives up leaves all as it was, and appends that it held up go on.
func TestRepair_while_an_append_stays_open_is_refused_and_changes_nothing(t *testing.T) {
	t.Parallel()
	for what, stay := range map[string]func(*world, pgx.Tx) func(){
		"open": func(w *world, tx pgx.Tx) func() { return func() { w.must(tx.Commit(w.Context())) } },
		"prepared": func(w *world, tx pgx.Tx) func() {
			_, err := tx.Exec(w.Context(), `prepare transaction 'it stays'`)
			w.must(err)
			w.must(tx.Conn().Ping(w.Context()))
			_ = tx.Rollback(w.Context()) // gives the connection back
			return func() { w.exec(`commit prepared 'it stays'`) }
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.append("order", "1", 2)
			commit := stay(w, w.open("open"))
			last := w.append("order", "1", 1)
			before, life := w.status(), w.life()
			done := make(chan error, 1)
			go func() { done <- outbox.Repair(w.Context(), w.store, last, outbox.EventsLost()) }()
			w.until("the repair to wait", func() bool { return w.waiting() >= 1 })
			appended := make(chan error, 1)
			go func() {
				_, err := pgstore.New(w.pool).Append(w.Context(), es.StreamID{Category: "order", ID: "meanwhile"}, es.NoStream, some(1)...)
				appended <- err
			}()
			for what, c := range map[string]chan error{"repair": done, "append": appended} {
				select {
				case err := <-c:
					if what == "append" {
						w.must(err)
					} else if !errors.Is(err, es.ErrNotSettled) {
						t.Errorf("Repair: %v", err)
					}
				case <-time.After(30 * time.Second):
					t.Fatalf("the %s does not end", what)
				}
			}
			if s := w.status(); s.Position != before.Position || s.Epoch != before.Epoch || w.life() != life {
				t.Errorf("%s, before %s, life %s, before %s", s, before, w.life(), life)
			}
			commit()
			w.must(outbox.Repair(w.Context(), w.store, 0))
			start(t, w.relay())
			w.wait()
			w.verify("order")
		})
	}
}

// Refused for another reason it holds no lock either, and no session in a transaction.
func TestRepair_that_is_refused_leaves_no_lock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	last := w.append("order", "1", 3)
	life := w.life()
	start(t, w.relay())
	w.wait()
	for what, from := range map[string]es.Position{"busy": 0, "past the end": last + 1} {
		if err := outbox.Repair(t.Context(), w.store, from, outbox.EventsLost()); err == nil {
			t.Fatalf("%s: not refused", what)
		}
	}
	var locks, open int
	err := w.pool.QueryRow(t.Context(), `
		select (select count(*) from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock'
		          and database = (select oid from pg_database where datname = current_database())),
		       (select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%')`).Scan(&locks, &open)
	if err != nil || locks != 0 || open != 0 || w.life() != life {
		t.Errorf("%d locks, %d open transactions, life %s, before %s: %v", locks, open, w.life(), life, err)
	}
	w.append("order", "1", 1)
	w.wait()
}
