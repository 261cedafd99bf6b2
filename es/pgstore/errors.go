package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

var (
	errSettleInTx = errors.New("pgstore: a transaction cannot settle the log: read as of a time or a position through the store, outside of the transaction")
	errStandby    = errors.New("pgstore: this server is a standby, where the locks of appends are not visible: read the log on the primary")
	errLostRace   = errors.New("pgstore: lost the race for the next version")
)

// explain names what failed and turns what a caller can act on into the errors of
// package es. The server's error stays reachable by errors.As.
func explain(what string, err error) error {
	switch {
	case err == nil || own(err):
		return err
	case pg.Is(err, pg.DeadlockDetected):
		return fmt.Errorf("pgstore: %s: %w: %w", what, es.ErrRetry, err)
	case pg.Is(err, pg.SerializationFailure):
		return fmt.Errorf("pgstore: %s: %w, %w: %w", what, es.ErrRetry, es.ErrConflict, err)
	case pg.Is(err, pg.UniqueViolation):
		return fmt.Errorf("pgstore: %s: %w: %w", what, es.ErrDuplicateID, err)
	}
	return pg.Explain("pgstore", what, err)
}

// own reports an error that speaks for itself: one of this package or of package es.
func own(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "pgstore: ") || strings.HasPrefix(text, "es: ")
}

// db is what a pool, a connection and a transaction have in common.
type db interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}
