package reactions

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// Retried says what came of a retry.
type Retried struct {
	Reacted int // messages that were reacted to, or that nothing is to be done for any more
	Parked  int // messages that were tried, or wait behind one that was, and are parked still
}

// RetryMessage tries a parked message again, by its number: the first of its sequence.
// One that waits behind another gives [ErrWaits]: retry what it waits for. [ErrNotParked]
// when there is none of the number.
func (r *Reactor) RetryMessage(ctx context.Context, number int64) (Retried, error) {
	return r.retry(func(t *retry) error {
		p, err := r.find(ctx, number)
		if err != nil {
			return err
		}
		return t.sequence(ctx, p.sequence, number)
	})
}

// RetryStream tries again what is parked of a stream, whatever source it is of, in order
// up to the first message that fails. [ErrNotParked] when nothing of it is parked.
func (r *Reactor) RetryStream(ctx context.Context, stream es.StreamID) (Retried, error) {
	return r.retryThose(ctx, "of stream "+stream.String(), `category = $2 and stream_id = $3`, stream.Category, stream.ID)
}

// RetryKey tries again what is parked of a key and is no event of a stream's, in all
// topics, in order up to the first message that fails. [ErrNotParked] when nothing is.
func (r *Reactor) RetryKey(ctx context.Context, key string) (Retried, error) {
	return r.retryThose(ctx, fmt.Sprintf("of key %q", key), `key = $2 and category is null`, []byte(key))
}

// RetryAll tries again all that is parked, sequence by sequence: one that fails again
// does not hold up the others, and is no error.
func (r *Reactor) RetryAll(ctx context.Context) (Retried, error) {
	return r.retry(func(t *retry) error { return t.those(ctx, "", `true`) })
}

func (r *Reactor) retryThose(ctx context.Context, what, where string, args ...any) (Retried, error) {
	return r.retry(func(t *retry) error { return t.those(ctx, what, where, args...) })
}

// retry is one call.
type retry struct {
	r    *Reactor
	done Retried
}

func (r *Reactor) retry(work func(t *retry) error) (Retried, error) {
	if r.refused != nil {
		return Retried{}, r.refused
	}
	t := &retry{r: r}
	if err := work(t); err != nil {
		return t.done, r.explain("retry what is parked", err)
	}
	return t.done, nil
}

// Bind: $1 reaction, and what the condition has.
const sequencesSQL = `select sequence from {asof}.parked_messages where reaction = $1 and {where} group by sequence order by min(id)`

// those retries the sequences of some messages; that there are none is an error where
// what says which.
func (t *retry) those(ctx context.Context, what, where string, args ...any) error {
	rows, err := t.r.store.Pool().Query(ctx, t.r.q(replace(sequencesSQL, where)), append([]any{t.r.name}, args...)...)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err == nil && len(list) == 0 && what != "" {
		err = fmt.Errorf("%w: %s has parked nothing %s", ErrNotParked, t.r.name, what)
	}
	for _, sequence := range list {
		if err == nil {
			err = t.sequence(ctx, sequence, 0)
		}
	}
	return err
}

// errMoved: somebody else has retried or skipped what a sequence began with.
var errMoved = errors.New("reactions: the sequence has moved")

// sequence tries what is parked of a sequence in order, up to the first that fails; or
// the first alone, if it has the number.
func (t *retry) sequence(ctx context.Context, sequence string, only int64) error {
	for {
		number, d, err := t.r.head(ctx, t.r.store.Pool(), sequence)
		switch {
		case err != nil:
			return err
		case d == nil && only == 0:
			return nil
		case only != 0 && (d == nil || number > only):
			return fmt.Errorf("%w: somebody else has retried or skipped message %d of %s", ErrNotParked, only, t.r.name)
		case only != 0 && number < only:
			return fmt.Errorf("%w: message %d of %s waits behind %d: retry that one before, or the stream", ErrWaits, only, t.r.name, number)
		}
		tried := t.done
		again, err := t.once(ctx, number, d)
		if err != nil || !again || only != 0 && t.done != tried {
			return err
		}
	}
}

// once tries the first message of a sequence, and reports whether the next may be tried.
func (t *retry) once(ctx context.Context, number int64, d *delivery) (again bool, err error) {
	err = t.r.unpark(ctx, number, d)
	switch {
	case err == nil:
		t.done.Reacted++
		return true, nil
	case errors.Is(err, errMoved):
		return true, nil
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case !ofMessage(err):
		return false, err
	}
	t.r.log.WarnContext(ctx, "a parked message fails again", "message", number, "topic", d.Topic, "partition", d.Partition, "offset", d.Offset, "error", err)
	n, err := t.r.failedAgain(ctx, number, d.sequence, err)
	t.done.Parked += n
	return false, err
}

// ofMessage reports what a message fails with, and not an outage.
func ofMessage(err error) bool {
	switch judge(err) {
	case fails, poison:
		return true
	case ends:
		return false
	default:
		return errors.Is(err, es.ErrNewerSchema) || errors.Is(err, es.ErrUnavailable)
	}
}

const (
	// Bind: $1 reaction, $2 sequence. Zero: nothing of it is parked.
	firstSQL = `select coalesce(min(id), 0) from {asof}.parked_messages where reaction = $1 and sequence = $2`

	// Bind: $1 reaction, $2 number.
	deleteSQL = `delete from {asof}.parked_messages where reaction = $1 and id = $2`
)

// unpark reacts to the first message of a sequence and takes it out, in one transaction.
func (r *Reactor) unpark(ctx context.Context, number int64, d *delivery) error {
	do, unread := r.read(ctx, d)
	var done result
	err := r.transact(ctx, func(tx pgx.Tx) (err error) {
		if err := r.lock(ctx, tx, d.sequence); err != nil {
			return err
		}
		var first int64
		if err := tx.QueryRow(ctx, r.q(firstSQL), r.name, d.sequence).Scan(&first); err != nil {
			return err
		}
		if first != number {
			return errMoved
		}
		if err := r.inbox.ForgetInTx(ctx, tx, d.read); err != nil {
			return err
		}
		done, err = r.note(ctx, tx, d)
		switch {
		case err != nil:
			return err
		case done == repeated: // it has come again, and waits here too
			return errMoved
		case done == late:
		case errors.Is(unread, es.ErrUnknownType): // the reaction is not for it any more
			done = skipped
		case unread != nil:
			return unread
		default:
			done, err = reacted, r.react(ctx, tx, d, do)
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, r.q(deleteSQL), r.name, number)
		return err
	})
	if err == nil {
		r.count(ctx, d, done)
	}
	return err
}

// failedAgainSQL notes a try that failed, and counts what is parked of the sequence. Bind:
// $1 number, $2 error, $3 reaction, $4 sequence.
const failedAgainSQL = `
with tried as (update {asof}.parked_messages set attempts = attempts + 1, error = $2, last_at = clock_timestamp() where reaction = $3 and id = $1)
select count(*) from {asof}.parked_messages where reaction = $3 and sequence = $4`

func (r *Reactor) failedAgain(ctx context.Context, number int64, sequence string, why error) (n int, err error) {
	err = r.store.Pool().QueryRow(ctx, r.q(failedAgainSQL), number, reason(why), r.name, sequence).Scan(&n)
	return n, err
}
