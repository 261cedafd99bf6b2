package outbox

import (
	"errors"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
)

var (
	// ErrPartitions: a topic has another number of partitions than it was made with,
	// or than the options say. Say the topic's number by [WithPartitions].
	ErrPartitions = errors.New("outbox: another number of partitions")
	// ErrRestored: the database is not the one that the checkpoint is of. Look what
	// was lost, then call [Repair]. It is [es.ErrRestored].
	ErrRestored = es.ErrRestored
	// ErrInvalid: an option or an argument does not fit. The text says which.
	ErrInvalid = errors.New("outbox: invalid")
	// ErrBusy: a relay is active where none may be. Stop it first.
	ErrBusy = errors.New("outbox: a relay is active")

	// errFenced: another relay has taken the lease, or we did not renew it in time.
	errFenced = errors.New("outbox: the lease was lost")
)

// explain says what failed, and what to do where that is known. The server's error
// stays reachable by errors.As.
func explain(what string, err error) error { return pg.Explain("outbox", what, err) }

// final reports what no patience cures.
func final(err error) bool {
	for _, target := range []error{
		ErrPartitions, ErrRestored, ErrInvalid, es.ErrAnotherLife, es.ErrInvalid, pgstore.ErrNotReplicated,
		kafka.ErrInvalid, kafka.ErrTooLarge, kafka.ErrDenied, kafka.ErrClosed,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return pg.OnlyByOperator(err)
}
