package outbox_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
)

// Poolers ask for modes in which pgx does not know the types of parameters.
func TestRelay_works_in_every_mode_of_pgx(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			config := w.pool.Config()
			config.ConnConfig.DefaultQueryExecMode = mode
			pool, err := pgxpool.NewWithConfig(t.Context(), config)
			w.must(err)
			t.Cleanup(pool.Close)
			store := pgstore.New(pool)
			w.append("order", "1", 5)
			stop := start(t, w.relayOf(store, short()))
			w.wait()
			w.until("the lease to be renewed", func() bool {
				var renewed bool
				err := w.pool.QueryRow(t.Context(), `select lease_until > updated_at + interval '1.2 seconds' from asof.relay`).Scan(&renewed)
				return err == nil && renewed
			})
			w.must(stop())
			w.must(outbox.Repair(t.Context(), store, 3, outbox.EventsLost()))
			start(t, w.relayOf(store))
			w.wait()
			if s, err := outbox.ReadStatus(t.Context(), store); err != nil || s.Position != 5 {
				t.Errorf("%s, %v", s, err)
			}
		})
	}
}
