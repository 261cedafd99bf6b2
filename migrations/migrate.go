package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// versionTable is goose's own name, so that the goose command works on it too.
const versionTable = "goose_db_version"

// Up brings every set to its newest version, in the given order; without sets,
// the framework's tables in schema asof. Each file is one transaction: a failed one
// leaves the earlier ones applied and names itself.
func Up(ctx context.Context, pool *pgxpool.Pool, sets ...Set) error {
	if len(sets) == 0 {
		sets = []Set{Framework("asof")}
	}
	for _, set := range sets {
		if _, err := set.source(); err != nil { // before anything is done
			return fmt.Errorf("migrations: up: %w", err)
		}
	}
	for _, set := range sets {
		err := alone(ctx, pool, set, func(p *goose.Provider) error {
			_, err := p.Up(ctx)
			return named(err)
		})
		if err != nil {
			return fmt.Errorf("migrations: up %s: %w", set.Schema, err)
		}
	}
	return nil
}

// Down takes a set back to a version: 0 removes all that it made, with its data.
func Down(ctx context.Context, pool *pgxpool.Pool, set Set, version int64) error {
	err := alone(ctx, pool, set, func(p *goose.Provider) error {
		_, err := p.DownTo(ctx, version)
		return named(err)
	})
	if err != nil {
		return fmt.Errorf("migrations: down %s to %d: %w", set.Schema, version, err)
	}
	return nil
}

// File is one migration and when it was applied; the zero time means not yet.
type File struct {
	Version   int64
	Name      string
	AppliedAt time.Time
}

// Status lists a set's files in order.
func Status(ctx context.Context, pool *pgxpool.Pool, set Set) ([]File, error) {
	var list []File
	err := alone(ctx, pool, set, func(p *goose.Provider) error {
		states, err := p.Status(ctx)
		for _, s := range states {
			list = append(list, File{Version: s.Source.Version, Name: s.Source.Path, AppliedAt: s.AppliedAt})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("migrations: status of %s: %w", set.Schema, err)
	}
	return list, nil
}

// named says which file failed, where goose gives its number alone.
func named(err error) error {
	var partial *goose.PartialError
	if !errors.As(err, &partial) || partial.Failed == nil || partial.Failed.Source == nil {
		return err
	}
	return fmt.Errorf("%s: %w", partial.Failed.Source.Path, partial.Err)
}

// alone runs f while no other process migrates the schema. The lock is held by a
// transaction of its own: goose's session locker polls every five seconds, and
// goose needs the schema to exist before it makes its version table there.
// The connections are not taken from the pool, which may be as small as one.
func alone(ctx context.Context, pool *pgxpool.Pool, set Set, f func(*goose.Provider) error) (err error) {
	source, err := set.source()
	if err != nil {
		return err
	}
	config := pool.Config().ConnConfig
	lock, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer lock.Close(context.WithoutCancel(ctx))
	return pgx.BeginFunc(ctx, lock, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockSQL, set.Schema); err != nil {
			return fmt.Errorf("wait for other migrations: %w", err)
		}
		db := open(config, set.Schema)
		defer db.Close()
		if err := createSchema(ctx, db, set.Schema); err != nil {
			return err
		}
		provider, err := goose.NewProvider(goose.DialectPostgres, db, source, goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
		if errors.Is(err, goose.ErrNoMigrations) {
			return errors.New("the set has no file of the form 0001_name.sql")
		}
		if err != nil {
			return err
		}
		return f(provider)
	})
}

// lockSQL waits for other migrations of the schema. Bind: $1 schema.
const lockSQL = `select pg_advisory_xact_lock(hashtextextended('asof migrations ' || $1, 0))`

// open returns a database whose connections resolve unqualified names in schema.
func open(config *pgx.ConnConfig, schema string) *sql.DB {
	config = config.Copy()
	config.RuntimeParams["search_path"] = schema
	return stdlib.OpenDB(*config)
}

// createSchema looks first, so that a role without the right to create schemas can
// run migrations in one made for it.
func createSchema(ctx context.Context, db *sql.DB, schema string) error {
	var missing bool
	if err := db.QueryRowContext(ctx, `select to_regnamespace($1) is null`, schema).Scan(&missing); err != nil {
		return fmt.Errorf("look for schema: %w", err)
	}
	if !missing {
		return nil
	}
	if _, err := db.ExecContext(ctx, `create schema if not exists `+pgx.Identifier{schema}.Sanitize()); err != nil {
		return fmt.Errorf("create schema: %w", err)
	}
	return nil
}
