package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/wait"
)

// The lease is by the database's clock alone. Every statement is a transaction of
// its own, so a relay that stands still never holds the row's lock.

// shortenSQL brings a lease down to its length that would last longer, as its holder
// took it before the clock was set back: a holder that lives renews it long before it
// ends. Bind: nothing.
const shortenSQL = `
update {asof}.relay set lease_until = clock_timestamp() + lease where lease_until > clock_timestamp() + lease`

// takeSQL begins a new epoch when nobody holds the lease; a relay takes over from
// itself at once. Bind: $1 leader, $2 seconds. No row: another holds it.
const takeSQL = `
update {asof}.relay set epoch = epoch + 1, leader = $1, lease = make_interval(secs => $2), lease_until = clock_timestamp() + make_interval(secs => $2)
where lease_until is null or lease_until < clock_timestamp() or leader = $1
returning epoch, position, event_id, life`

// renewSQL keeps the lease, and shows what holds the relay up. Bind: $1 epoch, $2
// seconds, $3 failure or null.
const renewSQL = `
update {asof}.relay set lease_until = clock_timestamp() + make_interval(secs => $2),
    failure = $3, failed_at = case when $3::text is null then null else coalesce(failed_at, clock_timestamp()) end
where epoch = $1`

// checkpointSQL moves the checkpoint: the epoch is checked by the statement that
// moves it, so one that lost the lease moves nothing. Bind: $1 epoch, $2 seconds, $3
// position, $4 id of the event there.
const checkpointSQL = `
update {asof}.relay set position = $3, event_id = $4, lease_until = clock_timestamp() + make_interval(secs => $2),
    failure = null, failed_at = null, updated_at = clock_timestamp()
where epoch = $1`

// releaseSQL lets another go on at once. Bind: $1 epoch, $2 failure or null for none.
const releaseSQL = `
update {asof}.relay set leader = null, lease_until = null,
    failure = $2, failed_at = case when $2::text is null then null else coalesce(failed_at, clock_timestamp()) end
where epoch = $1`

// term is the time from taking the lease to losing it or giving it up.
type term struct {
	relay    *Relay
	epoch    int64
	taken    time.Time // by our clock, before the lease was asked for
	life     uuid.UUID // of the store that position is of; Nil before the first term
	position es.Position
	eventID  uuid.UUID // of the event at position; Nil when it is not known
}

func (t *term) checkpoint() es.Checkpoint {
	return es.Checkpoint{Life: t.life, Position: t.position, EventID: t.eventID}
}

// take tries once to begin a term; nil when another relay holds the lease.
func (r *Relay) take(ctx context.Context, leader string) (*term, error) {
	t := &term{relay: r, taken: time.Now()}
	if _, err := r.store.Pool().Exec(ctx, r.q(shortenSQL)); err != nil {
		return nil, explain("take the lease", err)
	}
	var event, life *uuid.UUID
	err := r.store.Pool().QueryRow(ctx, r.q(takeSQL), leader, r.lease.Seconds()).Scan(&t.epoch, (*int64)(&t.position), &event, &life)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, explain("take the lease", err)
	}
	if event != nil {
		t.eventID = *event
	}
	if life != nil {
		t.life = *life
	}
	return t, nil
}

// await takes the lease as soon as it is free.
func (r *Relay) await(ctx context.Context, leader string) (*term, error) {
	every := min(r.lease/10, 100*time.Millisecond)
	for waited := false; ; waited = true {
		t, err := r.take(ctx, leader)
		if err != nil || t != nil {
			return t, err
		}
		if !waited {
			r.log.InfoContext(ctx, "another relay is active; waiting for its lease")
		}
		if err := wait.For(ctx, every); err != nil {
			return nil, err
		}
	}
}

// keep renews the lease until ctx ends. It fails when the lease is another's, or
// could not be renewed in time by our own clock, or the database is another.
func (t *term) keep(ctx context.Context, failure func() *string) error {
	until, next := t.taken.Add(t.relay.lease), t.relay.lease/3
	for wait.For(ctx, next) == nil {
		sent := time.Now()
		bounded, cancel := context.WithDeadline(ctx, until)
		err := t.renew(bounded, failure())
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			until, next = sent.Add(t.relay.lease), t.relay.lease/3
		case errors.Is(err, errFenced) || final(err):
			return err
		case time.Now().After(until):
			return fmt.Errorf("%w: not renewed in time: %w", errFenced, err)
		default:
			t.relay.log.WarnContext(ctx, "lease not renewed; trying again", "error", err)
			next = t.relay.lease / 10
		}
	}
	return nil
}

func (t *term) renew(ctx context.Context, failure *string) error {
	if err := t.write(ctx, "renew the lease", renewSQL, t.epoch, t.relay.lease.Seconds(), failure); err != nil {
		return err
	}
	if err := t.verify(ctx); err != nil {
		return err
	}
	return t.relay.store.KeepMoments(ctx)
}

// move notes that everything up to a position is published.
func (t *term) move(ctx context.Context, m mark) error {
	return t.write(ctx, "move the checkpoint", checkpointSQL, t.epoch, t.relay.lease.Seconds(), int64(m.position), m.id)
}

// release runs after ctx has ended too. It leaves behind why the term ended.
func (t *term) release(ctx context.Context, why error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	var failure *string
	if why != nil {
		text := why.Error()
		failure = &text
	}
	var err error
	for range 3 { // the pool may hand out connections that broke with the others
		if err = t.write(ctx, "release the lease", releaseSQL, t.epoch, failure); err == nil || errors.Is(err, errFenced) {
			break
		}
	}
	if err != nil && !errors.Is(err, errFenced) {
		t.relay.log.WarnContext(ctx, "lease not released; another relay can go on when it has run out", "error", err, "in", t.relay.lease)
	}
}

// write runs a statement that does nothing when the epoch is over.
func (t *term) write(ctx context.Context, what, sql string, args ...any) error {
	tag, err := t.relay.store.Pool().Exec(ctx, t.relay.q(sql), args...)
	if err != nil {
		return explain(what, err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("%w: %s: another relay has taken it", errFenced, what)
	}
	return nil
}
