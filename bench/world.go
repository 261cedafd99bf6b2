package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/realkafka"
	"github.com/asof-dev/asof/migrations"
)

// connections are as many as the largest number of writers needs.
const connections = 34

// world is the servers of a run.
type world struct {
	stack *embedded.Stack
	dir   string // removed at the end
	trips atomic.Int64
	made  int
	close func() error
}

func newWorld(ctx context.Context, parent string) (*world, error) {
	return newWorldOf(ctx, parent, embedded.FromEnv())
}

// newWorldOnCluster has three Apache Kafka brokers.
func newWorldOnCluster(ctx context.Context, parent string) (*world, error) {
	cluster, err := realkafka.Start(ctx, realkafka.Config{})
	if err != nil {
		return nil, err
	}
	config := embedded.FromEnv()
	config.Brokers = cluster.Brokers()
	w, err := newWorldOf(ctx, parent, config)
	if err != nil {
		return nil, errors.Join(err, cluster.Close())
	}
	closeRest := w.close
	w.close = func() error { return errors.Join(closeRest(), cluster.Close()) }
	return w, nil
}

// newWorldOf starts what the config does not name.
func newWorldOf(ctx context.Context, parent string, config embedded.Config) (*world, error) {
	dir, err := os.MkdirTemp(parent, "asof-bench-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil { // as root the server is another user, who must enter
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	config.Dir, config.Logger = dir, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	stack, err := embedded.Start(ctx, config)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	w := &world{stack: stack, dir: dir}
	w.close = func() error { return errors.Join(stack.Close(), os.RemoveAll(dir)) }
	return w, nil
}

// store returns an empty store in a database of its own.
func (w *world) store(ctx context.Context) (*pgstore.Store, error) {
	return w.storeOver(ctx, func(direct dialer) dialer { return direct })
}

// storeOver is store over connections that a proxy may stand in.
func (w *world) storeOver(ctx context.Context, over func(direct dialer) dialer) (*pgstore.Store, error) {
	w.made++
	url, err := w.stack.Database(ctx, fmt.Sprintf("bench_%d_%d", os.Getpid(), w.made))
	if err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns, config.MinConns = connections, connections
	dial := over(dialer(config.ConnConfig.DialFunc))
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return &countingConn{Conn: conn, trips: &w.trips}, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := migrations.Up(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return pgstore.New(pool), nil
}

func (w *world) serverVersion(ctx context.Context) (string, error) {
	store, err := w.store(ctx)
	if err != nil {
		return "", err
	}
	defer store.Pool().Close()
	var version string
	err = store.Pool().QueryRow(ctx, `select current_setting('server_version') || ', fsync ' || current_setting('fsync')`).Scan(&version)
	return version, err
}

// countingConn counts round trips: pgx sends all that it does not have to wait for
// in one write.
type countingConn struct {
	net.Conn
	trips *atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.trips.Add(1)
	return c.Conn.Write(p)
}
