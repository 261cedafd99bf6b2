package projections

import (
	"errors"
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

var (
	// ErrInvalid: the definition or an option does not fit. The text says what to
	// change.
	ErrInvalid = errors.New("projections: invalid definition")
	// ErrNewerVersion: the live read model is of a newer version than this program's.
	// Deploy the newer program, or roll back.
	ErrNewerVersion = errors.New("projections: the live version is newer")
	// ErrRolledBack: another process made an older version live while this one ran.
	// Restart this program to build its version again.
	ErrRolledBack = errors.New("projections: an older version was made live")
	// ErrBusy: another process rebuilds the projection, or uses what is to be dropped.
	ErrBusy = errors.New("projections: another process is at it")
	// ErrDependents: views, functions or foreign keys elsewhere depend on the tables, and
	// would go on with the old ones or be dropped with them. Drop them before; after a
	// rebuild, make them again.
	ErrDependents = errors.New("projections: others depend on the tables")
	// ErrLive: a build is live, and a single build is dropped only when it is not.
	ErrLive = errors.New("projections: the build is live")
	// ErrByHand: somebody has put something on the live tables, such as a policy, a trigger
	// or an index, that the rebuilt ones would not have. The text names it.
	ErrByHand = errors.New("projections: what was made on the live tables by hand would be lost")
	// ErrNotBuilt: the projection has no live read model. Run or Rebuild makes it.
	ErrNotBuilt = errors.New("projections: not built yet")
	// ErrVerify: the rebuilt tables do not account for the log. The live ones stay.
	ErrVerify = errors.New("projections: the rebuild does not agree with the log")

	// ErrRetry makes an error of a codec or of TryApply one that passes: the batch is tried
	// again, and nothing is parked.
	ErrRetry = errors.New("projections: try the event again")
	// ErrTooManyParked: more cannot be applied than may be parked (see [WithParked]), as
	// with a program that is wrong. Nothing of the batch was written.
	ErrTooManyParked = errors.New("projections: too many events cannot be applied")
	// ErrTooManyGaps: more streams lack events than a read model waits for, as with a topic
	// that has lost its data. Rebuild it once the topic is whole.
	ErrTooManyGaps = errors.New("projections: too many streams lack events")
	// ErrNoLog: what was asked for needs the log, and the read model is fed from Kafka
	// alone.
	ErrNoLog = errors.New("projections: there is no log behind the read model")
	// ErrTopicLost: a topic does not have (any more) what the read model needs of it. The
	// text says which, and what to do.
	ErrTopicLost = errors.New("projections: the topic is not whole")
)

// What only the rooms know.
var (
	// errFenced: the build is no longer ours to write to.
	errFenced = errors.New("projections: the build was switched or taken over by another process")
	// errMoved: the partition is read by another process.
	errMoved = errors.New("projections: another process has moved the partition's offset")
	// errKind: another program has changed the kind of source.
	errKind = errors.New("projections: another program feeds the build from another kind of source")
	// errDone ends a transaction of which nothing is kept.
	errDone = errors.New("projections: done")
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

// mistake is an error in the definition that the database has found, unless it has
// nothing to do with the definition.
func mistake(what string, err error) error {
	if pg.Passing(err) {
		return fmt.Errorf("projections: %s: %w", what, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrInvalid, what, err)
}

// explain wraps an error of the database.
func explain(what string, err error) error { return pg.Explain("projections", what, err) }

// wrap explains errors that do not speak for themselves yet.
func wrap(what string, err error) error {
	var event *EventError
	if errors.As(err, &event) || errors.Is(err, errFenced) || errors.Is(err, errMoved) || errors.Is(err, errKind) || errors.Is(err, ErrInvalid) {
		return err
	}
	return explain(what, err)
}

// final reports what no patience cures.
func final(err error) bool {
	for _, target := range []error{ErrInvalid, ErrNewerVersion, ErrRolledBack, ErrDependents, ErrByHand, ErrTooManyParked, ErrTooManyGaps, ErrTopicLost, es.ErrRestored, es.ErrAnotherLife, es.ErrInvalid} {
		if errors.Is(err, target) {
			return true
		}
	}
	return pg.OnlyByOperator(err)
}
