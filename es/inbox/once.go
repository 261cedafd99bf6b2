package inbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// Limits of what is stored.
const (
	MaxConsumer  = 128  // bytes of a consumer's name
	MaxMessageID = 1024 // bytes of a message id
)

// A reaction that lost a race is tried again: with a pause that doubles from 2 ms
// and a random part, six tries take up to about a tenth of a second.
const (
	tries      = 6
	firstPause = 2 * time.Millisecond
)

// insertSQL notes the message. While another transaction has noted it and is still
// open, this waits, and inserts if that one is rolled back. Bind: $1 consumer, $2
// message id. No row: the message was had before.
const insertSQL = `insert into {asof}.inbox (consumer, message_id) values ($1, $2) on conflict do nothing`

// Once calls react for a message that the consumer has not had, in a transaction
// that also notes the message, and reports whether it was so. All that react does
// through tx is committed with the id, or nothing is.
//
// A message that another delivery is just reacting to is waited for. When react
// fails with [es.ErrConflict] or [es.ErrRetry], or the database breaks the
// transaction off to resolve a deadlock, it is called again in a new transaction, a
// few times: it must not change anything outside of tx. Any other error is returned
// as it is, and the message counts as not had. After an error of the connection it
// is not known whether the transaction was committed; the next delivery finds out.
func (i *Inbox) Once(ctx context.Context, messageID string, react func(ctx context.Context, tx *pgstore.Tx) error) (fresh bool, err error) {
	if err := i.validate(messageID); err != nil {
		return false, err
	}
	pause := firstPause
	for try := 1; ; try++ {
		fresh, err = i.once(ctx, messageID, react)
		switch {
		case err == nil && fresh:
			i.reacted.Add(1)
			return true, nil
		case err == nil:
			i.repeated.Add(1)
			return false, nil
		case try == tries || !lostRace(err):
			return false, err
		}
		if wait(ctx, pause+rand.N(pause)) != nil {
			return false, err
		}
		pause *= 2
	}
}

func (i *Inbox) once(ctx context.Context, messageID string, react func(ctx context.Context, tx *pgstore.Tx) error) (fresh bool, err error) {
	var failed error // the reaction's own error is not explained
	err = pgx.BeginTxFunc(ctx, i.store.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, i.q(insertSQL), i.consumer, messageID)
		if err != nil {
			return err
		}
		if fresh = tag.RowsAffected() == 1; !fresh {
			return nil
		}
		failed = react(ctx, i.store.InTx(tx))
		return failed
	})
	if failed != nil {
		return false, failed
	}
	return fresh && err == nil, explain("react to message "+messageID, err)
}

// lostRace reports an error that a new transaction may not meet again.
func lostRace(err error) bool {
	var server *pgconn.PgError
	if errors.As(err, &server) && (server.Code == serializationFailure || server.Code == deadlockDetected) {
		return true
	}
	return errors.Is(err, es.ErrRetry) || errors.Is(err, es.ErrConflict)
}

func (i *Inbox) validate(messageID string) error {
	if !storable(i.consumer, MaxConsumer) {
		return fmt.Errorf("inbox: %w: consumer %.40q: give 1 to %d bytes of UTF-8", es.ErrInvalid, i.consumer, MaxConsumer)
	}
	if !storable(messageID, MaxMessageID) {
		return fmt.Errorf("inbox: %w: message id %.40q: give 1 to %d bytes of UTF-8", es.ErrInvalid, messageID, MaxMessageID)
	}
	return nil
}

func storable(text string, limit int) bool {
	return text != "" && len(text) <= limit && utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
