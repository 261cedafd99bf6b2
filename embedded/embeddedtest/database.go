package embeddedtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/internal/pgserver"
	"github.com/asof-dev/asof/internal/pg"
)

// sharedServer is the one server of this test process. It is never closed: it
// ends with the process, and its directory goes when a later one sweeps.
//
//nolint:gochecknoglobals // the tests of a process share it
var sharedServer = sync.OnceValues(func() (*shared, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startWait)
	defer cancel()
	if err := sweep(ctx); err != nil {
		return nil, err
	}
	server, _, place, err := newServer(ctx, settings{})
	return &shared{Server: server, place: place}, err
})

// shared keeps the place too: with the last use of its lock's file the lock would go.
type shared struct {
	*pgserver.Server
	place *scratch
}

// Database returns the address, as superuser, of a fresh database that is
// dropped at the end of the test. Its encoding is UTF8, its collation C.
func Database(t testing.TB) string {
	t.Helper()
	server, err := sharedServer()
	if err != nil {
		t.Fatalf("embeddedtest: no database: %v", err)
	}
	return server.URL(freshDatabase(t, server.Server, emptyDatabase))
}

// Pool returns a pool on a fresh database; it is closed at the end of the test.
func Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	server, err := sharedServer()
	if err != nil {
		t.Fatalf("embeddedtest: no database: %v", err)
	}
	return newPool(t, server.PoolConfig(freshDatabase(t, server.Server, emptyDatabase)))
}

func newPool(t testing.TB, config *pgxpool.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatalf("embeddedtest: no pool: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// emptyDatabase is what fresh databases are copies of, if of no other.
const emptyDatabase = "template1"

func freshDatabase(t testing.TB, server *pgserver.Server, of string) (name string) {
	t.Helper()
	name = databaseName(t.Name())
	admin := server.PoolConfig(pgserver.User)
	if err := execute(t.Context(), admin, `CREATE DATABASE `+pg.Quote(name)+` TEMPLATE `+pg.Quote(of)); err != nil {
		t.Fatalf("embeddedtest: no database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopWait)
		defer cancel()
		if err := dropDatabase(ctx, server, name); err != nil {
			t.Errorf("embeddedtest: drop database %s: %v", name, err)
		}
	})
	return name
}

// databaseName tells in the server's log which test it is, and is unique.
func databaseName(test string) string {
	const longest = 40 // of the 63 bytes that a name may have
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(test))
	return fmt.Sprintf("%s_%s", plain[:min(len(plain), longest)], strings.ToLower(rand.Text()[:10]))
}

// dropDatabase ends the sessions of the database first, and rolls back its
// prepared transactions, which belong to no session.
func dropDatabase(ctx context.Context, server *pgserver.Server, name string) error {
	admin := server.PoolConfig(pgserver.User)
	prepared, err := preparedTransactions(ctx, admin, name)
	if err != nil {
		return err
	}
	for _, gid := range prepared {
		if err := execute(ctx, server.PoolConfig(name), `ROLLBACK PREPARED `+pg.Literal(gid)); err != nil {
			return err
		}
	}
	return execute(ctx, admin, `DROP DATABASE IF EXISTS `+pg.Quote(name)+` WITH (FORCE)`)
}

func preparedTransactions(ctx context.Context, admin *pgxpool.Config, name string) (gids []string, err error) {
	conn, err := pgx.ConnectConfig(ctx, admin.ConnConfig)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	rows, err := conn.Query(ctx, `SELECT gid FROM pg_prepared_xacts WHERE database = $1`, name)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func execute(ctx context.Context, config *pgxpool.Config, statement string) (err error) {
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	return err
}
