package reactions

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/pg"
)

var (
	// ErrTooManyParked: the reaction would park more than it may. The error is a
	// [*TooManyParkedError].
	ErrTooManyParked = errors.New("reactions: too many messages are parked")
	// ErrNotParked: the reaction has not parked the message, or no message of what was
	// asked for.
	ErrNotParked = errors.New("reactions: not parked")
	// ErrWaits: the message waits behind another of its sequence.
	ErrWaits = errors.New("reactions: the message waits behind another")
)

// TooManyParkedError says at which message a reaction ended, since the program, and not
// a message, seems to be wrong. errors.Is(err, [ErrTooManyParked]) is true for it. The
// message was not taken: the reaction goes on with it when it is started again.
type TooManyParkedError struct {
	Reaction  string
	Most      int // that may be parked
	Topic     string
	Partition int
	Offset    int64
	Err       error // what the message failed with; nil when it was to wait behind another
}

func (e *TooManyParkedError) Error() string {
	why := "it waits behind another"
	if e.Err != nil {
		why = e.Err.Error()
	}
	return fmt.Sprintf("%v: %d of %s are, and that is the most (Reaction.MostParked); the next would be %s partition %d offset %d: %s: look at what is parked (dead-letters list), correct the program, retry, and start it again",
		ErrTooManyParked, e.Most, e.Reaction, e.Topic, e.Partition, e.Offset, why)
}

// Is makes errors.Is(err, ErrTooManyParked) true.
func (e *TooManyParkedError) Is(target error) bool { return target == ErrTooManyParked }

// Unwrap returns what the message failed with. Nothing is decided by it.
func (e *TooManyParkedError) Unwrap() error { return e.Err }

// poisonError is why no try makes a message better.
type poisonError struct{ error }

func (e poisonError) Unwrap() error { return e.error }

// ownError is an error of the reaction itself, and whether its connection has gone.
type ownError struct {
	error
	dead bool
}

func (e ownError) Unwrap() error { return e.error }

// commitError is an error of a commit. All statements before had succeeded.
type commitError struct{ error }

func (e commitError) Unwrap() error { return e.error }

// verdict is what follows from a failure.
type verdict int

const (
	ends   verdict = iota // no patience cures it
	passes                // it is tried again until it is over
	fails                 // it is tried again a few times
	poison                // no try makes it better
)

// judge says what a message failed with. What is the database's, the broker's or another
// service's is never held against the message, nor is what a statement of ours met: React
// had not run, or was not what failed.
func judge(err error) verdict {
	own, isOwn := errors.AsType[ownError](err)
	_, hopeless := errors.AsType[poisonError](err)
	switch {
	case isOwn && wrong(err) && !pg.Outage(err):
		return fails
	case final(err):
		return ends
	case pg.Outage(err):
		return passes
	case hopeless:
		return poison
	case errors.Is(err, es.ErrNewerSchema), errors.Is(err, es.ErrUnavailable), errors.Is(err, es.ErrRetry):
		return passes
	case isOwn && !own.dead, refused(err):
		return fails
	default:
		return passes
	}
}

// wrong reports what would end the reaction if it came of our own, as then the program or a
// pooler is set up wrongly, and is a mistake in what React does for this message.
func wrong(err error) bool {
	return errors.Is(err, kafka.ErrInvalid) || pg.Is(err, pg.ProtocolViolation)
}

// refused reports what the commit did not accept: a deferred constraint, or a transaction
// that an error has ended of which React has not told.
func refused(err error) bool {
	_, atCommit := errors.AsType[commitError](err)
	return atCommit && (errors.Is(err, pgx.ErrTxCommitRollback) || pg.Code(err) != "" && !pg.Passing(err))
}

// final reports what trying again does not cure.
func final(err error) bool {
	for _, target := range []error{ErrTooManyParked, es.ErrRestored, es.ErrAnotherLife, kafka.ErrDenied, kafka.ErrClosed, kafka.ErrInvalid} {
		if errors.Is(err, target) {
			return true
		}
	}
	return pg.OnlyByOperator(err)
}

// broken is what is wrong with a message that was not read.
func broken(err error) error {
	switch {
	case errors.Is(err, es.ErrUndecodable), errors.Is(err, inbox.ErrBroken):
		return poisonError{err}
	case errors.Is(err, inbox.ErrForeign):
		return poisonError{fmt.Errorf("%w: give Reaction.Any to react to such messages", err)}
	default:
		return ownError{error: err}
	}
}

// explain names the reaction, and says what to do where that is known.
func (r *Reactor) explain(what string, err error) error {
	var too *TooManyParkedError
	if errors.As(err, &too) || errors.Is(err, ErrNotParked) || errors.Is(err, ErrWaits) {
		return err
	}
	return pg.Explain("reactions", r.name+": "+what, err)
}
