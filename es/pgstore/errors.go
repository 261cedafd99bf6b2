package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
)

var (
	errSettleInTx = errors.New("pgstore: a transaction cannot settle the log: read as of a time or a position through the store, outside of the transaction")
	errStandby    = errors.New("pgstore: this server is a standby, where the locks of appends are not visible: read the log on the primary")
	errLostRace   = errors.New("pgstore: lost the race for the next version")
)

// Codes of https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	undefinedTable       = "42P01"
	invalidSchema        = "3F000"
)

// explain names what failed and turns what a caller can act on into the errors of
// package es. The server's error stays reachable by errors.As.
func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	if own(err) {
		return err
	}
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		if _, unreachable := errors.AsType[*pgconn.ConnectError](err); unreachable {
			return fmt.Errorf("pgstore: %s: the database cannot be reached: check that it runs and that its URL is right: %w", what, err)
		}
		return fmt.Errorf("pgstore: %s: %w", what, err)
	}
	switch server.Code {
	case deadlockDetected:
		return fmt.Errorf("pgstore: %s: %w: %w", what, es.ErrRetry, err)
	case serializationFailure:
		return fmt.Errorf("pgstore: %s: %w, %w: %w", what, es.ErrRetry, es.ErrConflict, err)
	case undefinedTable, invalidSchema:
		return fmt.Errorf("pgstore: %s: the event tables are missing: run the migrations (migrations.Up, or asof migrate): %w", what, err)
	case uniqueViolation:
		return fmt.Errorf("pgstore: %s: %w: %w", what, es.ErrDuplicateID, err)
	}
	return fmt.Errorf("pgstore: %s: %w", what, err)
}

// own reports an error that was explained already.
func own(err error) bool {
	for _, known := range []error{es.ErrConflict, es.ErrStreamNotFound, es.ErrInvalid, es.ErrDuplicateID, es.ErrRetry, es.ErrNotSettled, errLostRace, errStandby, errSettleInTx} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// db is what a pool, a connection and a transaction have in common.
type db interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}
