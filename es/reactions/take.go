package reactions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/internal/wait"
)

// result is what became of a message.
type result int

const (
	undecided result = iota
	reacted
	repeated // it was had before
	late     // it is of a life that its store has left
	skipped  // it is of a type that the codec does not know
	behind   // it is parked behind another
	parked
)

// take reacts to a message once, or lets it wait behind one of its sequence that is
// parked. An error says that nothing was done.
//
// A message is decided on when the one before it in its partition is: what that has
// parked is seen. Whoever unparks does so under the sequence's lock.
func (r *Reactor) take(ctx context.Context, d *delivery) (done result, err error) {
	do, unread := r.read(ctx, d)
	if errors.Is(unread, es.ErrUnknownType) {
		return skipped, nil
	}
	err = r.transact(ctx, func(tx pgx.Tx) error {
		if done, err = r.note(ctx, tx, d); err != nil || done != undecided {
			return err
		}
		waits, err := r.waits(ctx, tx, d.sequence)
		switch {
		case err != nil:
			return err
		case waits:
			done = behind
			return r.insert(ctx, tx, d, nil, 0)
		case unread != nil:
			return unread
		}
		done = reacted
		return r.react(ctx, tx, d, do)
	})
	return done, err
}

// park sets a message aside that failed, if nobody has taken it meanwhile.
func (r *Reactor) park(ctx context.Context, d *delivery, why error, attempts int) (done result, err error) {
	err = r.transact(ctx, func(tx pgx.Tx) error {
		if done, err = r.note(ctx, tx, d); err != nil || done != undecided {
			return err
		}
		done = parked
		if err := r.lock(ctx, tx, d.sequence); err != nil {
			return err
		}
		return r.insert(ctx, tx, d, why, attempts)
	})
	return done, err
}

// note notes a message; undecided when it is to be reacted to.
func (r *Reactor) note(ctx context.Context, tx pgx.Tx, d *delivery) (result, error) {
	switch outcome, err := r.inbox.NoteInTx(ctx, tx, d.read); {
	case err != nil:
		return undecided, err
	case outcome == inbox.Repeated:
		return repeated, nil
	case outcome == inbox.Late:
		return late, nil
	default:
		return undecided, nil
	}
}

// read reads a message into what is done about it. An [es.ErrUnknownType] is an event
// that the reaction is not for.
func (r *Reactor) read(ctx context.Context, d *delivery) (do work, err error) {
	e, unread := inbox.Read(d.read)
	foreign := errors.Is(unread, inbox.ErrForeign)
	if r.event != nil && !foreign {
		if name := d.read.Metadata[headerType]; name != "" && !slices.Contains(r.types, name) {
			return nil, fmt.Errorf("%w: %.128q", es.ErrUnknownType, name)
		}
	}
	if r.event == nil || foreign && r.any != nil {
		unread, do = inbox.LifeReadable(d.read), r.anyWork(d)
	} else if unread == nil {
		unread = guard(func() error {
			e.Data = bytes.Clone(e.Data) // it would be parked as the codec leaves it
			do, err = r.event(ctx, e)
			return err
		})
		if _, panicked := errors.AsType[panicError](unread); panicked {
			unread = fmt.Errorf("%w: %w", es.ErrUndecodable, unread)
		}
	}
	if unread != nil && !errors.Is(unread, es.ErrUnknownType) {
		unread = broken(unread)
	}
	return do, unread
}

// anyWork is what Any does about a message, of which it gets a copy each time.
func (r *Reactor) anyWork(d *delivery) work {
	return func(ctx context.Context, tx *pgstore.Tx) error {
		m := d.read.Copy()
		m.Payload = bytes.Clone(m.Payload) // Copy shares it with what would be parked
		m.SetContext(ctx)
		return r.any(ctx, m, tx)
	}
}

// react does the work in the transaction that has noted the message.
func (r *Reactor) react(ctx context.Context, tx pgx.Tx, d *delivery, do work) error {
	ctx = inbox.Following(ctx, d.read)
	if err := guard(func() error { return do(ctx, r.store.InTx(tx)) }); err != nil {
		return ownError{err, tx.Conn().IsClosed()}
	}
	return nil
}

// A transaction that lost a race is tried again: with random pauses below a bound that
// doubles, six tries take about a tenth of a second.
const (
	races     = 6
	firstRace = 4 * time.Millisecond
	lastRace  = 64 * time.Millisecond
)

// transact runs a transaction, as often as races are lost.
func (r *Reactor) transact(ctx context.Context, do func(tx pgx.Tx) error) error {
	pause := wait.Backoff{First: firstRace, Last: lastRace, Random: true}
	for try := 1; ; try++ {
		err := r.once(ctx, do)
		lost := pg.LostRace(err) || errors.Is(err, es.ErrRetry) || errors.Is(err, es.ErrConflict)
		if err == nil || !lost || try == races || pause.Wait(ctx) != nil {
			return err
		}
	}
}

// once runs a transaction, and tells an error of its commit from the others.
func (r *Reactor) once(ctx context.Context, do func(tx pgx.Tx) error) error {
	done := false
	err := pgx.BeginTxFunc(ctx, r.store.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		err := do(tx)
		done = err == nil
		return err
	})
	if err != nil && done {
		return commitError{err}
	}
	return err
}

// panicError is a panic of the program's code.
type panicError struct{ value any }

func (e panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// guard makes an error of a panic.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError{v}
		}
	}()
	return f()
}
