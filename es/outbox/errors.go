package outbox

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es/kafka"
)

var (
	// ErrPartitions: a topic has another number of partitions than it was made with,
	// or than the options say. Say the topic's number by [WithPartitions].
	ErrPartitions = errors.New("outbox: another number of partitions")
	// ErrRestored: the database is not the one that the checkpoint is of. Look what
	// was lost, then call [Repair].
	ErrRestored = errors.New("outbox: the database was restored, copied or promoted")
	// ErrInvalid: an option or an argument does not fit. The text says which.
	ErrInvalid = errors.New("outbox: invalid")
	// ErrBusy: a relay is active where none may be. Stop it first.
	ErrBusy = errors.New("outbox: a relay is active")

	// errFenced: another relay has taken the lease, or we did not renew it in time.
	errFenced = errors.New("outbox: the lease was lost")
	// errNoTables is final: migrations do not run by themselves.
	errNoTables = errors.New("outbox: the relay's tables are missing: run the migrations (migrations.Up, or asof migrate)")
)

// Codes of https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	undefinedTable = "42P01"
	invalidSchema  = "3F000"
)

// explain says what failed, and what to do where that is known. The server's error
// stays reachable by errors.As.
func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	var server *pgconn.PgError
	if errors.As(err, &server) && (server.Code == undefinedTable || server.Code == invalidSchema) {
		return fmt.Errorf("%w: %s: %w", errNoTables, what, err)
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return fmt.Errorf("outbox: %s: the database cannot be reached: check that it runs and that its URL is right: %w", what, err)
	}
	return fmt.Errorf("outbox: %s: %w", what, err)
}

// final reports what no patience cures.
func final(err error) bool {
	for _, target := range []error{ErrPartitions, ErrRestored, ErrInvalid, errNoTables, kafka.ErrInvalid, kafka.ErrTooLarge, kafka.ErrClosed} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
