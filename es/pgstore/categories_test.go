package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

func inCategory(category string) es.StreamID { return es.StreamID{Category: category, ID: "1"} }

// Categories that are one topic for Kafka are refused at the first append of the later
// one, by every process, in a transaction too, and leave the first alone.
func TestCategories_that_collide_for_Kafka_are_refused(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	_, err := store.Append(ctx, inCategory("order.item_line"), es.NoStream, someEvents(1)...)
	must(t, err)
	for name, s := range map[string]*pgstore.Store{"the same process": store, "another": pgstore.New(store.Pool())} {
		for _, other := range []string{"order_item_line", "order.item.line", "order_item.line"} {
			_, err := s.Append(ctx, inCategory(other), es.NoStream, someEvents(1)...)
			inTx := pgx.BeginFunc(ctx, s.Pool(), func(tx pgx.Tx) error {
				_, err := s.InTx(tx).Append(ctx, inCategory(other), es.NoStream, someEvents(1)...)
				return err
			})
			for _, err := range []error{err, inTx} {
				if !errors.Is(err, es.ErrInvalid) || !strings.Contains(err.Error(), `"order.item_line"`) {
					t.Errorf("%s: %s: %v", name, other, err)
				}
			}
		}
		for _, fine := range []string{"order.item_line", "order-item-line", "Order.item_line", "order.item_line."} {
			if _, err := s.Append(ctx, inCategory(fine), es.Any, someEvents(1)...); err != nil {
				t.Errorf("%s: %s: %v", name, fine, err)
			}
		}
	}
}

// A category is taken by its first append though that is rolled back, since others may
// have relied on it; and one whose first append stays open holds up nobody of its own, nor
// does it need a second connection of the pool.
func TestCategory_of_an_append_that_is_open_or_rolled_back(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	for range 3 { // the third would rely on what the first has seen
		tx, err := store.Pool().Begin(ctx)
		must(t, err)
		for range 2 {
			_, err = store.InTx(tx).Append(ctx, inCategory("a.b"), es.Any, someEvents(1)...)
			must(t, err)
		}
		must(t, tx.Rollback(ctx))
	}
	_, err := store.Append(ctx, inCategory("a.b"), es.NoStream, someEvents(1)...)
	must(t, err)
	_, err = store.Append(ctx, inCategory("a_b"), es.NoStream, someEvents(1)...)
	if !errors.Is(err, es.ErrInvalid) {
		t.Errorf("a_b beside a.b: %v", err)
	}

	config := store.Pool().Config()
	config.MaxConns = 1
	one, err := pgxpool.NewWithConfig(ctx, config)
	must(t, err)
	defer one.Close()
	tx, err := one.Begin(ctx)
	must(t, err)
	defer tx.Rollback(context.WithoutCancel(ctx))
	_, err = pgstore.New(one).InTx(tx).Append(ctx, inCategory("c.d"), es.NoStream, someEvents(1)...)
	must(t, err)
	short := within(t, 5*time.Second)
	for range 2 {
		_, err = store.Append(short, es.StreamID{Category: "c.d", ID: "2"}, es.Any, someEvents(1)...)
		must(t, err)
	}
}

// Many begin both at once, in transactions and without, of which some are rolled back: one
// category is there in the end.
func TestCategories_that_collide_are_refused_in_a_race(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	for pair := range 10 {
		var wg sync.WaitGroup
		for n := range 16 {
			wg.Go(func() {
				category := fmt.Sprintf([]string{"x%d.y", "x%d_y"}[n%2], pair)
				id, s := es.StreamID{Category: category, ID: string(rune('a' + n))}, pgstore.New(store.Pool())
				_, err := s.Append(ctx, id, es.NoStream, someEvents(1)...)
				if n%4 > 1 {
					err = pgx.BeginFunc(ctx, s.Pool(), func(tx pgx.Tx) error {
						_, err := s.InTx(tx).Append(ctx, id, es.Any, someEvents(1)...)
						if err == nil && n%8 > 3 {
							err = es.ErrInvalid // rolls back
						}
						return err
					})
				}
				if err != nil && !errors.Is(err, es.ErrInvalid) {
					t.Errorf("%s: %v", category, err)
				}
			})
		}
		wg.Wait()
		var n int
		must(t, store.Pool().QueryRow(ctx, `select count(distinct category) from asof.events where category like 'x' || $1::text || '_y'`, fmt.Sprint(pair)).Scan(&n))
		if n != 1 {
			t.Errorf("%d categories of one topic are in the log", n)
		}
	}
}

// A category costs a statement once in a process.
func TestCategory_is_asked_for_once(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := t.Context()
	_, err := store.Append(ctx, inCategory("known"), es.Any, someEvents(1)...)
	must(t, err)
	must(t, exec(ctx, store.Pool(), `alter table asof.categories rename to away`))
	_, err = store.Append(ctx, inCategory("known"), es.Any, someEvents(1)...)
	must(t, err)
}
