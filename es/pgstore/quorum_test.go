package pgstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// All standbys are connected and some lag: as many as a commit waits for must have the
// page, and only those count which it waits for. What the server says of its standbys is
// made up here by a view that stands before its own.
func TestReplicated_reads_wait_for_standbys_that_lag(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 1)
	must(t, exec(ctx, store.Pool(), `create schema said`, `create table said.pg_stat_replication (flush_lsn pg_lsn, sync_state text)`))
	config := store.Pool().Config()
	config.ConnConfig.RuntimeParams["search_path"] = "said, pg_catalog"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	must(t, err)
	t.Cleanup(pool.Close)
	reader := pgstore.New(pool, pgstore.WithReplicatedReads())
	const far, lags = `('FFFF/0', `, `('0/1', `
	for _, c := range []struct {
		names string
		said  []string
		has   bool
	}{
		{"ANY 1 (a, b)", []string{far + `'quorum')`, lags + `'quorum')`}, true},
		{"ANY 1 (a, b)", []string{lags + `'quorum')`, lags + `'quorum')`}, false},
		{"ANY 2 (a, b)", []string{far + `'quorum')`, lags + `'quorum')`}, false},
		{"ANY 2 (a, b, c)", []string{lags + `'quorum')`, far + `'quorum')`, far + `'quorum')`}, true},
		{"FIRST 2 (a, b)", []string{far + `'sync')`, lags + `'sync')`}, false},
		{"2 (a, b)", []string{far + `'sync')`, far + `'sync')`}, true},
		{"a, b", []string{lags + `'sync')`, far + `'potential')`}, false},
		{"a", []string{far + `'async')`}, false},
		{"a", []string{`(null, 'sync')`}, false},
		{"a", []string{far + `'sync')`}, true},
	} {
		must(t, exec(ctx, store.Pool(), `set synchronous_commit = local; truncate said.pg_stat_replication; insert into said.pg_stat_replication values `+strings.Join(c.said, ", ")))
		server.Set("synchronous_standby_names", c.names)
		short, cancel := context.WithTimeout(ctx, time.Second)
		_, err := reader.Read(short, 0, 10)
		cancel()
		if c.has && err != nil || !c.has && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s of %v: %v", c.names, c.said, err)
		}
	}
}
