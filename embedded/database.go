package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

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
	if err := createDatabase(ctx, s.DatabaseURL(), name); err != nil {
		return "", fmt.Errorf("embedded: create database %q: %w", name, err)
	}
	return address, nil
}

func createDatabase(ctx context.Context, address, name string) (err error) {
	config, err := pg.ParseConn(address)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
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
