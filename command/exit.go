package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/reactions"
	"github.com/asof-dev/asof/internal/pg"
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
	case isAny(err, es.ErrStreamNotFound, projections.ErrNotBuilt, projections.ErrNotParked, reactions.ErrNotParked):
		return ExitNotFound
	case isAny(err, es.ErrConflict, es.ErrRetry, es.ErrNotSettled, es.ErrRestored, es.ErrAnotherLife, projections.ErrBusy, projections.ErrNewerVersion,
		projections.ErrRolledBack, projections.ErrDependents, projections.ErrLive, projections.ErrByHand, projections.ErrApplied, projections.ErrWaits, reactions.ErrWaits,
		projections.ErrAnotherProgram, outbox.ErrBusy, outbox.ErrRestored, outbox.ErrPartitions):
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

func databaseCode(err error) int {
	switch {
	case pg.Unreachable(err):
		return ExitUnreachable
	case pg.NotMigrated(err):
		return ExitNotMigrated
	default:
		return ExitFailure
	}
}
