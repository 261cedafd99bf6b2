package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/projections"
)

// Exit codes of every command. They do not change.
const (
	ExitOK          = 0
	ExitFailure     = 1   // a reason that none of the others covers
	ExitUsage       = 2   // a command, flag, argument or setting that is not right
	ExitNotFound    = 3   // a stream, projection, category or version that is not there
	ExitBusy        = 4   // not possible now: another process is at it, a conflict, a moment not yet past
	ExitUnreachable = 5   // the database or the brokers
	ExitNotMigrated = 6   // the tables are missing or older than the program
	ExitInterrupted = 130 // stopped before the work was done
)

// coded is an error whose exit code is known.
type coded struct {
	code int
	err  error
}

func (e *coded) Error() string { return e.err.Error() }
func (e *coded) Unwrap() error { return e.err }

// WithCode gives an error the exit code with which [Run] ends.
func WithCode(code int, err error) error { return &coded{code: code, err: err} }

func usage(format string, args ...any) error {
	return WithCode(ExitUsage, fmt.Errorf("command: "+format, args...))
}

func notFound(format string, args ...any) error {
	return WithCode(ExitNotFound, fmt.Errorf("command: "+format, args...))
}

// ExitCode returns the exit code that an error of a command stands for, for a
// program that runs the tree by itself; nil gives [ExitOK].
func ExitCode(err error) int {
	var known *coded
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &known):
		return known.code
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	case isAny(err, es.ErrStreamNotFound, projections.ErrNotBuilt):
		return ExitNotFound
	case isAny(err, es.ErrConflict, es.ErrRetry, es.ErrNotSettled, projections.ErrBusy, projections.ErrNewerVersion,
		projections.ErrRolledBack, projections.ErrDependents, outbox.ErrBusy, outbox.ErrRestored, outbox.ErrPartitions):
		return ExitBusy
	case isAny(err, es.ErrInvalid, outbox.ErrInvalid, kafka.ErrInvalid):
		return ExitUsage
	case errors.Is(err, kafka.ErrUnreachable):
		return ExitUnreachable
	default:
		return databaseCode(err)
	}
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// Codes of https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	undefinedTable     = "42P01"
	undefinedColumn    = "42703"
	invalidSchema      = "3F000"
	tooManyConnections = "53300"
	connectionClass    = "08"
	shutdownClass      = "57P0"
)

func databaseCode(err error) int {
	var connect *pgconn.ConnectError
	var network *net.OpError
	if errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ExitUnreachable
	}
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return ExitFailure
	}
	switch {
	case server.Code == undefinedTable, server.Code == undefinedColumn, server.Code == invalidSchema:
		return ExitNotMigrated
	case server.Code == tooManyConnections, strings.HasPrefix(server.Code, connectionClass), strings.HasPrefix(server.Code, shutdownClass):
		return ExitUnreachable
	default:
		return ExitFailure
	}
}
