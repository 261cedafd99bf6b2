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
	"github.com/asof-dev/asof/internal/pooltest"
	"github.com/asof-dev/asof/migrations"
)

// pooled returns the store of a program that comes through a pooler, in a mode of pgx.
func pooled(t *testing.T, direct *pgxpool.Pool, p *pooltest.Pooler, mode pgx.QueryExecMode, schema string) *pgstore.Store {
	t.Helper()
	pool := pooltest.Through(t, direct, p.Serve, func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode, c.MaxConns = mode, 2 })
	return pgstore.New(pool, pgstore.WithSchema(schema))
}

// Two stores of one database behind one pooler, each used by several programs at once:
// each has its own events and no others, and all that reads and settles works.
func TestStores_behind_a_pooler_in_transaction_mode(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeSimpleProtocol} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			ctx := within(t, time.Minute)
			direct := open(t).Pool()
			must(t, migrations.Up(ctx, direct, migrations.Framework("other")))
			p := pooltest.New(t, direct, 3)
			const programs, each = 4, 20
			var writing sync.WaitGroup
			for n := range programs {
				for _, schema := range []string{"asof", "other"} {
					store := pooled(t, direct, p, mode, schema)
					writing.Go(func() { writeIn(ctx, t, store, es.StreamID{Category: schema, ID: fmt.Sprint(n)}, each) })
				}
			}
			writing.Wait()
			for _, schema := range []string{"asof", "other"} {
				store := pooled(t, direct, p, mode, schema)
				events, err := readAll(ctx, store, 0)
				must(t, err)
				for _, e := range events {
					if e.Stream.Category != schema {
						t.Errorf("the store in schema %s has an event of %s", schema, e.Stream)
					}
				}
				last := events[len(events)-1]
				if p, err := store.Settle(ctx, last.RecordedAt); err != nil || p < last.Position || len(events) != 2*programs*each {
					t.Errorf("schema %s: settled up to %d, %v, of %d events", schema, p, err, len(events))
				}
				_, err = store.Repair(ctx, true, nil)
				must(t, err)
			}
		})
	}
}

// writeIn appends to a stream one by one, by itself and in transactions of the caller's,
// now and then rolled back.
func writeIn(ctx context.Context, t *testing.T, store *pgstore.Store, stream es.StreamID, n int) {
	for v := range n {
		if _, err := store.Append(ctx, stream, es.Exactly(es.Version(2*v)), someEvents(1)...); err != nil {
			t.Errorf("%s: %v", stream, err)
			return
		}
		for _, undo := range []bool{true, false} {
			err := pgx.BeginFunc(ctx, store.Pool(), func(tx pgx.Tx) error {
				_, err := store.InTx(tx).Append(ctx, stream, es.Exactly(es.Version(2*v+1)), someEvents(1)...)
				if err == nil && undo {
					err = errRollback
				}
				return err
			})
			if err != nil && !errors.Is(err, errRollback) {
				t.Errorf("%s: %v", stream, err)
				return
			}
		}
	}
}

// What a pooler in transaction mode cannot carry is refused with the setting to change. A
// mode that sends a statement and its values apart would run another program's statement
// with them: no call gets so far, in a transaction neither.
func TestModes_that_no_pooler_can_carry_are_refused(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			ctx := within(t, time.Minute)
			direct := open(t).Pool()
			p := pooltest.New(t, direct, 3)
			refused := func(call string, err error) {
				t.Helper()
				if err == nil || !strings.Contains(err.Error(), "pooler") || !strings.Contains(err.Error(), "default_query_exec_mode=exec") {
					t.Errorf("%s: got %v, want a refusal that says what to change", call, err)
				}
				if mode == pgx.QueryExecModeDescribeExec && !errors.Is(err, es.ErrInvalid) {
					t.Errorf("%s: %v is no ErrInvalid, so it was an accident", call, err)
				}
			}
			for call, err := range everyCall(t, pooled(t, direct, p, mode, "asof")) {
				refused(call, err)
			}
			if mode == pgx.QueryExecModeDescribeExec {
				store := pooled(t, direct, p, mode, "asof")
				tx, err := store.Pool().Begin(ctx)
				must(t, err)
				defer tx.Rollback(context.WithoutCancel(ctx))
				_, err = store.InTx(tx).Append(ctx, stream("1"), es.Any, someEvents(1)...)
				refused("Append in a transaction", err)
			}
		})
	}
}
