package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/internal/pgserver"
	"github.com/asof-dev/asof/internal/pg"
)

// DatabaseURL is the address of the maintenance database as superuser, or
// Config.DatabaseURL.
func (s *Stack) DatabaseURL() string {
	if s.postgres == nil {
		return s.config.DatabaseURL
	}
	return s.postgres.URL(pgserver.User)
}

// Database returns the address of the database called name and creates it when
// it is missing. Several processes may do so at once.
func (s *Stack) Database(ctx context.Context, name string) (string, error) {
	address, err := pg.WithDatabase(s.DatabaseURL(), name)
	if err != nil {
		return "", fmt.Errorf("embedded: %w", err)
	}
	if err := s.createDatabase(ctx, name); err != nil {
		return "", fmt.Errorf("embedded: create database %q: %w", name, err)
	}
	return address, nil
}

// Pool returns a pool on the database called name, which is created when it is
// missing. The variables PG… of the environment are for other servers than the embedded
// one, and change nothing there; to Config.DatabaseURL they apply as always.
func (s *Stack) Pool(ctx context.Context, name string) (*pgxpool.Pool, error) {
	address, err := s.Database(ctx, name)
	if err != nil {
		return nil, err
	}
	config, err := s.poolConfig(address, name)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("embedded: open database %q: %w", name, err)
	}
	return pool, nil
}

func (s *Stack) poolConfig(address, name string) (*pgxpool.Config, error) {
	if s.postgres != nil {
		return s.postgres.PoolConfig(name), nil
	}
	return pg.ParsePool(address)
}

func (s *Stack) createDatabase(ctx context.Context, name string) (err error) {
	config, err := s.poolConfig(s.DatabaseURL(), pgserver.User)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var exists bool
	const query = `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`
	if err := conn.QueryRow(ctx, query, name).Scan(&exists); err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, `CREATE DATABASE `+pg.Quote(name))
	// Two that create it at once: one gets either of these.
	const duplicateDatabase = "42P04"
	if pg.Is(err, duplicateDatabase, pg.UniqueViolation) {
		return nil
	}
	return err
}
