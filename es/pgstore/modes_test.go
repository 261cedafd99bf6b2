package pgstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/es/storetest"
)

// Every way in which pgx sends statements keeps the whole contract: those that prepare
// nothing are for poolers.
func TestStore_keeps_its_contract_in_every_mode_of_the_driver(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) storetest.Subject {
				store := pgstoretest.New(t, pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode }))
				return storetest.Subject{Store: store, Log: store}
			})
		})
	}
}

// What the suite does not use: all that reads and settles, in each mode, and by a role
// whose transactions are repeatable read or serializable by default.
func TestEverything_works_in_every_mode_and_isolation(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		for _, isolation := range []string{"read committed", "repeatable read", "serializable"} {
			t.Run(mode.String()+"_"+isolation, func(t *testing.T) {
				t.Parallel()
				ctx := within(t, 60*time.Second)
				store := pgstoretest.New(t, pgstoretest.Configure(func(c *pgxpool.Config) {
					c.ConnConfig.DefaultQueryExecMode = mode
					c.ConnConfig.RuntimeParams["default_transaction_isolation"] = isolation
				}))
				e := es.EventData{ID: es.NewID(), Type: "x", Schema: 3, ContentType: "application/octet-stream", Data: []byte{0, 255, '\\', '\''}, Metadata: es.Metadata{CorrelationID: "c'", Extra: map[string]string{"k": "ü"}}}
				first, err := store.Append(ctx, es.StreamID{Category: "test", ID: `it's "ü" \x00`}, es.NoStream, e)
				must(t, err)
				again, err := store.Append(ctx, first[0].Stream, es.NoStream, e)
				must(t, err)
				if d := cmp.Diff(first, again); d != "" {
					t.Errorf("made again:\n%s", d)
				}
				many, err := store.Append(ctx, stream("2"), es.Any, someEvents(3)...)
				must(t, err)
				if _, err := store.Append(ctx, stream("2"), es.Exactly(1), someEvents(1)...); !errors.Is(err, es.ErrConflict) {
					t.Errorf("a conflict is %v", err)
				}
				all, err := readAll(ctx, store, 0)
				must(t, err)
				if d := cmp.Diff(append(first, many...), all); d != "" {
					t.Errorf("the log (-appended +read):\n%s", d)
				}
				last := many[2]
				p, err := store.Settle(ctx, last.RecordedAt)
				must(t, err)
				if d := cmp.Diff(all, streamed(ctx, t, store, es.Checkpoint{}, p, 10)); d != "" {
					t.Errorf("the stream:\n%s", d)
				}
				must(t, store.SettleTo(ctx, last.Position))
				must(t, store.KeepMoments(ctx))
				must(t, store.Verify(ctx, es.Checkpoint{Position: last.Position, EventID: last.ID}))
				_, err = store.Status(ctx)
				must(t, err)
				tx, err := store.Pool().Begin(ctx)
				must(t, err)
				_, err = store.InTx(tx).Append(ctx, stream("rolled back"), es.Any, someEvents(2)...)
				must(t, err)
				must(t, tx.Rollback(ctx))
				appendEach(ctx, t, store, "3", 1)
				if events, err := readAll(ctx, store, last.Position); err != nil || len(events) != 1 {
					t.Errorf("behind a hole: %v, %v", events, err)
				}
				_, err = store.Repair(ctx, true, nil)
				must(t, err)
			})
		}
	}
}

// Writers that race for one stream, whose role is repeatable read by default: no
// conflict for those who expect nothing, and a ConflictError for those who do.
func TestRace_under_repeatable_read_by_default(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t, pgstoretest.MaxConns(20), pgstoretest.Configure(func(c *pgxpool.Config) {
		c.ConnConfig.RuntimeParams["default_transaction_isolation"] = "repeatable read"
	}))
	ctx := within(t, 60*time.Second)
	const writers, each = 10, 20
	errs := make(chan error, writers)
	for range writers {
		go func() { errs <- race(ctx, store, each) }()
	}
	for range writers {
		must(t, <-errs)
	}
	if events, err := readAll(ctx, store, 0); err != nil || len(events) != 2*writers*each {
		t.Errorf("%d events, %v", len(events), err)
	}
}

func race(ctx context.Context, store *pgstore.Store, each int) error {
	for range each {
		if _, err := store.Append(ctx, stream("any"), es.Any, someEvents(1)...); err != nil {
			return err
		}
		for want := es.Version(0); ; {
			_, err := store.Append(ctx, stream("exactly"), es.Exactly(want), someEvents(1)...)
			if err == nil {
				break
			}
			conflict, ok := errors.AsType[*es.ConflictError](err)
			if !ok {
				return err
			}
			want = conflict.Got
		}
	}
	return nil
}
