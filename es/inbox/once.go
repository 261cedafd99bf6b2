package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/internal/wait"
)

// A reaction that lost a race is tried again: with random pauses below a bound that
// doubles, six tries take about a tenth of a second.
const (
	tries      = 6
	firstPause = 4 * time.Millisecond
	lastPause  = 64 * time.Millisecond
)

// Once calls react for a message that the consumer has not had, in a transaction
// that also notes the message, and reports whether it was so. All that react does
// through tx is committed with the id, or nothing is. For a message of Kafka's the id
// is [kafka.MessageID]; one that the database could not store is noted by its digest.
//
// A message that another delivery is just reacting to is waited for. When react
// fails with [es.ErrConflict] or [es.ErrRetry], or the database breaks the
// transaction off to resolve a deadlock, it is called again in a new transaction, a
// few times: it must not change anything outside of tx. Any other error is returned
// as it is, and the message counts as not had. After an error of the connection it
// is not known whether the transaction was committed; the next delivery finds out.
//
// An id says nothing of the life of the store that the message comes from: that is
// looked at by [Inbox.Handle] and [Inbox.HandleAny].
func (i *Inbox) Once(ctx context.Context, messageID string, react func(ctx context.Context, tx *pgstore.Tx) error) (fresh bool, err error) {
	if messageID == "" {
		return false, fmt.Errorf("inbox: %w: message id is empty: give what tells two deliveries from two messages", es.ErrInvalid)
	}
	return i.take(ctx, delivery{id: stored(messageID)}, react)
}

// take reacts to a delivery, as often as races are lost.
func (i *Inbox) take(ctx context.Context, d delivery, react func(ctx context.Context, tx *pgstore.Tx) error) (fresh bool, err error) {
	if i.refused != nil {
		return false, i.refused
	}
	pause := wait.Backoff{First: firstPause, Last: lastPause, Random: true}
	for try := 1; ; try++ {
		result, err := i.once(ctx, d, react)
		if err == nil {
			i.count(ctx, d, result)
			return result == Fresh, nil
		}
		if try == tries || !lostRace(err) || pause.Wait(ctx) != nil {
			return false, err
		}
	}
}

func (i *Inbox) count(ctx context.Context, d delivery, result Outcome) {
	switch result {
	case Fresh:
		i.reacted.Add(1)
	case Repeated:
		i.repeated.Add(1)
	case Late:
		i.late.Add(1)
		i.log.WarnContext(ctx, "a message of a life that its store has left is acknowledged without a reaction",
			"message", d.id, "source", d.source, "life", d.life, "position", d.position)
	default:
	}
}

func (i *Inbox) once(ctx context.Context, d delivery, react func(ctx context.Context, tx *pgstore.Tx) error) (result Outcome, err error) {
	var own error // the reaction's error and a refusal are not the database's
	err = pgx.BeginTxFunc(ctx, i.store.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if result, err = i.note(ctx, tx, d); err != nil || result != Fresh {
			if errors.Is(err, es.ErrAnotherLife) {
				own = err
			}
			return err
		}
		own = react(ctx, i.store.InTx(tx))
		return own
	})
	if own != nil {
		return undecided, own
	}
	return result, pg.Explain("inbox", "react to message "+d.id, err)
}

// lostRace reports an error that a new transaction may not meet again.
func lostRace(err error) bool {
	return pg.LostRace(err) || errors.Is(err, es.ErrRetry) || errors.Is(err, es.ErrConflict)
}
