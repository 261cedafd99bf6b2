package pgstore_test

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// everyCall returns the error of each way to use a store.
func everyCall(t *testing.T, store *pgstore.Store) map[string]error {
	t.Helper()
	ctx := within(t, 60*time.Second)
	errs := map[string]error{}
	_, errs["Append"] = store.Append(ctx, stream("1"), es.Any, someEvents(1)...)
	_, errs["Read"] = store.Read(ctx, 0, 10)
	_, errs["Settle"] = store.Settle(ctx, time.Time{})
	_, errs["Status"] = store.Status(ctx)
	for _, err := range store.ReadStream(ctx, stream("1"), 1) {
		errs["ReadStream"] = err
	}
	return errs
}

func says(t *testing.T, store *pgstore.Store, parts ...string) {
	t.Helper()
	for call, err := range everyCall(t, store) {
		if err == nil {
			t.Errorf("%s: no error, want one that says %q", call, parts)
			continue
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", call, err, part)
			}
		}
		if !strings.HasPrefix(err.Error(), "pgstore: ") || strings.Count(err.Error(), "pgstore: ") != 1 {
			t.Errorf("%s: %q does not begin with the package's name once", call, err)
		}
	}
}

func TestUnreachable_database(t *testing.T) {
	t.Parallel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0") // a port where nobody listens
	must(t, err)
	must(t, nobody.Close())
	pool, err := pgxpool.New(t.Context(), "postgres://user:s3cret@"+nobody.Addr().String()+"/nowhere")
	must(t, err)
	t.Cleanup(pool.Close)
	store := pgstore.New(pool)
	says(t, store, "the database cannot be reached", "check that it runs and that its URL is right")
	for call, err := range everyCall(t, store) {
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %q shows the password", call, err)
		}
		if _, known := errors.AsType[*pgconn.ConnectError](err); !known {
			t.Errorf("%s: the cause of %q is lost", call, err)
		}
	}
}

func TestDatabase_that_does_not_exist(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(embeddedtest.Database(t))
	must(t, err)
	address.Path += "_not"
	pool, err := pgxpool.New(t.Context(), address.String())
	must(t, err)
	t.Cleanup(pool.Close)
	says(t, pgstore.New(pool), "does not exist")
}

func TestMissing_tables(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	says(t, pgstore.New(pool), "tables are missing", "run the migrations")
}

// A store in a transaction finds the missing tables too.
func TestMissing_tables_in_transaction(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	tx, err := pool.Begin(t.Context())
	must(t, err)
	defer tx.Rollback(t.Context())
	_, err = pgstore.New(pool).InTx(tx).Append(t.Context(), stream("1"), es.Any, someEvents(1)...)
	if err == nil || !strings.Contains(err.Error(), "run the migrations") {
		t.Errorf("got %v", err)
	}
}
