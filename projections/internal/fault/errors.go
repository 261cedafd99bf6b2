// Package fault has the errors of package projections, for its rooms to return: what each
// means is said there, where they have the same names.
package fault

import (
	"errors"
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// Those that callers know.
var (
	ErrInvalid      = errors.New("projections: invalid definition")
	ErrNewerVersion = errors.New("projections: the live version is newer")
	ErrRolledBack   = errors.New("projections: an older version was made live")
	ErrBusy         = errors.New("projections: another process is at it")
	ErrDependents   = errors.New("projections: others depend on the tables")
	ErrLive         = errors.New("projections: the build is live")
	ErrByHand       = errors.New("projections: what was made on the live tables by hand would be lost")
	ErrNotBuilt     = errors.New("projections: not built yet")
	ErrVerify       = errors.New("projections: the rebuild does not agree with the log")

	ErrRetry         = errors.New("projections: try the event again")
	ErrTooManyParked = errors.New("projections: too many events cannot be applied")
	ErrTooManyGaps   = errors.New("projections: too many streams lack events")
	ErrNoLog         = errors.New("projections: there is no log behind the read model")
	ErrTopicLost     = errors.New("projections: the topic is not whole")
)

// Those that stay inside.
var (
	// ErrFenced: the build is no longer ours to write to.
	ErrFenced = errors.New("projections: the build was switched or taken over by another process")
	// ErrMoved: the partition is read by another process.
	ErrMoved = errors.New("projections: another process has moved the partition's offset")
	// ErrKind: another program has changed the kind of source.
	ErrKind = errors.New("projections: another program feeds the build from another kind of source")
	// ErrDone ends a transaction of which nothing is kept.
	ErrDone = errors.New("projections: done")
)

// EventError names an event that a projection could not apply, and did not park. Nothing
// of its batch was written.
type EventError struct {
	Projection string
	Version    int // of the projection
	Event      es.Recorded
	Err        error
}

func (e *EventError) Error() string {
	return fmt.Sprintf("projections: %s version %d cannot apply %s of %s version %d at position %d: %v: nothing was written; correct the program and start it again, or skip event %s",
		e.Projection, e.Version, e.Event.Type, e.Event.Stream, e.Event.Version, e.Event.Position, e.Err, e.Event.ID)
}

// Unwrap returns what went wrong.
func (e *EventError) Unwrap() error { return e.Err }

// Mistake is an error in the definition that the database has found, unless it has
// nothing to do with the definition.
func Mistake(what string, err error) error {
	if pg.Passing(err) {
		return fmt.Errorf("projections: %s: %w", what, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrInvalid, what, err)
}

// Explain wraps an error of the database.
func Explain(what string, err error) error { return pg.Explain("projections", what, err) }

// Wrap explains errors that do not speak for themselves yet.
func Wrap(what string, err error) error {
	var event *EventError
	if errors.As(err, &event) || errors.Is(err, ErrFenced) || errors.Is(err, ErrMoved) || errors.Is(err, ErrKind) || errors.Is(err, ErrInvalid) {
		return err
	}
	return Explain(what, err)
}

// Final reports what no patience cures.
func Final(err error) bool {
	for _, target := range []error{ErrInvalid, ErrNewerVersion, ErrRolledBack, ErrDependents, ErrByHand, ErrTooManyParked, ErrTooManyGaps, ErrTopicLost, es.ErrRestored, es.ErrAnotherLife, es.ErrInvalid} {
		if errors.Is(err, target) {
			return true
		}
	}
	return pg.OnlyByOperator(err)
}
