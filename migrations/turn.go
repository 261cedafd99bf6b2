package migrations

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/internal/wait"
)

// key is the lock of a schema's migrations. Bind: $1 schema.
const key = `hashtextextended('asof migrations ' || $1, 0)`

// turnSQL asks for the lock for one transaction, and leads its unqualified names to
// the schema. Bind: $1 schema.
const turnSQL = `select pg_try_advisory_xact_lock(` + key + `), set_config('search_path', quote_ident($1), true)`

// turn begins a transaction that holds the lock, whose unqualified names are in the
// schema. Whatever ends it, its work and its lock end in one moment.
//
// Read committed: what is read after the lock is what others left.
func (s *session) turn(ctx context.Context, schema string) (tx pgx.Tx, err error) {
	err = s.ask(ctx, func() (mine bool, err error) {
		if tx, err = s.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}); err != nil {
			return false, err
		}
		var path string
		if err = tx.QueryRow(ctx, turnSQL, schema).Scan(&mine, &path); err == nil && mine {
			_, err = tx.Exec(ctx, patientSQL, true)
		}
		if err == nil && !mine {
			err = tx.Rollback(ctx)
		}
		return mine, err
	})
	return tx, err
}

const (
	lockSQL   = `select pg_try_advisory_lock(` + key + `)`
	unlockSQL = `select pg_advisory_unlock(` + key + `)`
	pathSQL   = `select set_config('search_path', quote_ident($1), false)`
)

// lock takes the same lock for the session, for statements that may not be in a
// transaction. It is as good, as they run in the session that holds it.
func (s *session) lock(ctx context.Context, schema string) error {
	err := s.ask(ctx, func() (mine bool, err error) {
		err = s.conn.QueryRow(ctx, lockSQL, schema).Scan(&mine)
		return mine, err
	})
	if err != nil {
		return err
	}
	if _, err := s.conn.Exec(ctx, pathSQL, schema); err != nil {
		return fmt.Errorf("set the search path: %w", err)
	}
	return s.patient(ctx) // an earlier file may have set timeouts
}

// unlock gives the session's lock back; with a connection that is lost it is gone.
func (s *session) unlock(ctx context.Context, schema string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if _, err := s.conn.Exec(ctx, unlockSQL, schema); err != nil {
		_ = s.conn.Close(ctx)
	}
}

// ask asks for the lock again and again until it is ours. Each question is a statement
// of an instant: one that waits has a snapshot, for which an index that is built
// concurrently under the lock would wait in turn.
func (s *session) ask(ctx context.Context, question func() (bool, error)) error {
	pause := wait.Backoff{First: 10 * time.Millisecond, Last: 400 * time.Millisecond, Random: true}
	for {
		mine, err := question()
		if err == nil && !mine {
			err = pause.Wait(ctx)
		}
		if err != nil {
			return fmt.Errorf("wait for other migrations: %w", err)
		}
		if mine {
			return nil
		}
	}
}

// pathHolds refuses a session whose unqualified names would end elsewhere.
func pathHolds(ctx context.Context, q querier, schema string) error {
	var current string
	if err := q.QueryRow(ctx, `select coalesce(current_schema(), 'none')`).Scan(&current); err != nil {
		return fmt.Errorf("look at the search path: %w", err)
	}
	if current != schema {
		return fmt.Errorf("unqualified names lead to schema %s and not to %s: connect to Postgres directly, as the schema's owner", current, schema)
	}
	return nil
}

// grace is for giving back what is held, when the context has ended too.
const grace = 5 * time.Second

func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	_ = tx.Rollback(ctx)
}
