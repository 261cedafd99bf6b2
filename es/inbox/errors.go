package inbox

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// Codes of https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	undefinedTable       = "42P01"
	invalidSchema        = "3F000"
)

// explain says what failed, and what to do where that is known. The server's error
// stays reachable by errors.As.
func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	var server *pgconn.PgError
	if errors.As(err, &server) && (server.Code == undefinedTable || server.Code == invalidSchema) {
		return fmt.Errorf("inbox: %s: the inbox's table is missing: run the migrations (migrations.Up, or asof migrate): %w", what, err)
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return fmt.Errorf("inbox: %s: the database cannot be reached: check that it runs and that its URL is right: %w", what, err)
	}
	return fmt.Errorf("inbox: %s: %w", what, err)
}
