package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/internal/wait"
)

// The lease is by the database's clock alone. Every statement is a transaction of
// its own, so a relay that stands still never holds the row's lock.
//
// The holder is told by its epoch, its name and the life that it publishes. The epoch
// alone would not do: after a restore or a failover the row may be of before, and its
// epochs are given again.
//
// No statement waits for synchronous standbys (set_config): while one is away the
// relay keeps its lease and says so. What a failover takes back of the row costs
// repeats, nothing else.

const (
	// shortenSQL brings a lease down to its length that would last longer, as its holder
	// took it before the clock was set back: a holder that lives renews it long before
	// it ends. Bind: nothing.
	shortenSQL = `
update {asof}.relay set lease_until = clock_timestamp() + lease
where lease_until > clock_timestamp() + lease and ` + withoutStandbys

	// takeSQL begins a new epoch when nobody holds the lease; a relay takes over from
	// itself at once. Bind: $1 leader, $2 seconds. No row: another holds it.
	takeSQL = `
update {asof}.relay set epoch = epoch + 1, leader = $1, lease = make_interval(secs => $2), lease_until = clock_timestamp() + make_interval(secs => $2)
where (lease_until is null or lease_until < clock_timestamp() or leader = $1) and ` + withoutStandbys + `
returning epoch, ` + rowColumns

	// held is the part of the statements below that do nothing when the lease is
	// another's. Bind: $1 epoch, $2 leader, $3 life or null.
	held = `epoch = $1 and leader = $2 and life is not distinct from $3 and ` + withoutStandbys

	// renewSQL keeps the lease, and shows what holds the relay up. Bind: $4 seconds, $5
	// failure or null.
	renewSQL = `
update {asof}.relay set lease_until = clock_timestamp() + make_interval(secs => $4),
    failure = $5, failed_at = case when $5::text is null then null else coalesce(failed_at, clock_timestamp()) end
where ` + held + ` returning updated_at`

	// adoptSQL keeps the store's life with the first checkpoint. Bind: $4 life.
	adoptSQL = `update {asof}.relay set life = $4 where ` + held + ` returning updated_at`

	// checkpointSQL moves the checkpoint. The statement that moves it checks who holds
	// the lease, so one that lost it moves nothing, and that the event is in this log.
	// Bind: $4 seconds, $5 position, $6 id of the event there.
	checkpointSQL = `
update {asof}.relay set position = $5, event_id = $6, lease_until = clock_timestamp() + make_interval(secs => $4),
    failure = null, failed_at = null, updated_at = clock_timestamp()
where exists (select from {asof}.events e where e.position = $5 and e.event_id = $6) and ` + held + ` returning updated_at`

	// releaseSQL lets another go on at once, also when adopting the life was given up
	// half way and may not have reached the row. Bind: $1 to $3 as held, $4 failure or
	// null for none.
	releaseSQL = `
update {asof}.relay set leader = null, lease_until = null,
    failure = $4, failed_at = case when $4::text is null then null else coalesce(failed_at, clock_timestamp()) end
where epoch = $1 and leader = $2 and (life is null or life = $3) and ` + withoutStandbys + ` returning updated_at`

	// withoutStandbys holds for the transaction of one statement.
	withoutStandbys = `set_config('synchronous_commit', 'local', true) <> ''`
)

// lease is the right to publish, until it is lost or given up.
type lease struct {
	relay  *Relay
	epoch  int64
	leader string
	life   *uuid.UUID // that it is for; nil before the first checkpoint of a store
	taken  time.Time  // by our clock, before the lease was asked for

	mu      sync.Mutex
	written time.Time // when the checkpoint was, by the database's clock
}

// takeLease tries once to take the lease, with the checkpoint to go on from; nil when
// another relay holds it. It outlasts ctx by a little: a lease that the database gave
// to one who does not wait for it any more would stand in the others' way until it has
// run out.
func takeLease(ctx context.Context, r *Relay, leader string) (*lease, *row, error) {
	ctx, cancel := wait.Beyond(ctx, grace)
	defer cancel()
	l, found := &lease{relay: r, leader: leader, taken: time.Now()}, &row{}
	if _, err := r.store.Pool().Exec(ctx, r.sql(shortenSQL)); err != nil {
		return nil, nil, explain("take the lease", err)
	}
	err := found.scan(r.store.Pool().QueryRow(ctx, r.sql(takeSQL), leader, r.lease.Seconds()), &l.epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, explain("take the lease", err)
	}
	if l.written = found.written; found.at.Life != uuid.Nil {
		l.life = &found.at.Life
	}
	return l, found, nil
}

// awaitLease takes the lease as soon as it is free, from a log that has what was seen.
func awaitLease(ctx context.Context, r *Relay, leader string, seen *sight) (*lease, *row, error) {
	every := min(r.lease/10, 100*time.Millisecond)
	for waited := false; ; waited = true {
		l, found, err := takeLease(ctx, r, leader)
		switch {
		case err != nil:
			return nil, nil, err
		case l != nil:
			if err = seen.compare(ctx, found); err != nil {
				l.release(ctx, found.reason(err))
				return nil, nil, err
			}
			return l, found, nil
		}
		if err := seen.look(ctx); err != nil {
			return nil, nil, err
		}
		if !waited {
			r.logger.InfoContext(ctx, "another relay is active; waiting for its lease")
		}
		if err := wait.For(ctx, every); err != nil {
			return nil, nil, err
		}
	}
}

// keep renews the lease until ctx ends, and calls check each time. It fails when the
// lease is another's, or could not be renewed in time by our own clock, or check says
// something final.
func (l *lease) keep(ctx context.Context, failure func() *string, check func(context.Context) error) error {
	until, next := l.taken.Add(l.relay.lease), l.relay.lease/3
	for wait.For(ctx, next) == nil {
		sent := time.Now()
		bounded, cancel := context.WithDeadline(ctx, until)
		err := l.renew(bounded, failure())
		if err == nil {
			err = check(bounded)
		}
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			until, next = sent.Add(l.relay.lease), l.relay.lease/3
		case errors.Is(err, errFenced) || final(err):
			return err
		case time.Now().After(until):
			return fmt.Errorf("%w: not renewed in time: %w", errFenced, err)
		default:
			l.relay.logger.WarnContext(ctx, "lease not renewed; trying again", "error", err)
			next = l.relay.lease / 10
		}
	}
	return nil
}

func (l *lease) renew(ctx context.Context, failure *string) error {
	return l.exec(ctx, "renew the lease", renewSQL, l.relay.lease.Seconds(), failure)
}

// adopt notes the life that the checkpoint is of.
func (l *lease) adopt(ctx context.Context, life uuid.UUID) error {
	err := l.exec(ctx, "keep the store's life", adoptSQL, life)
	l.life = &life
	return err
}

// move notes that everything up to a position is published.
func (l *lease) move(ctx context.Context, to mark) error {
	return l.exec(ctx, "move the checkpoint", checkpointSQL, l.relay.lease.Seconds(), int64(to.position), to.id)
}

// release runs after ctx has ended too. It leaves behind why the term ended.
func (l *lease) release(ctx context.Context, why error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	var failure *string
	if why != nil {
		text := why.Error()
		failure = &text
	}
	var err error
	for range 3 { // the pool may hand out connections that broke with the others
		if err = nil; errors.Is(why, ErrRestored) && l.life != nil {
			err = l.relay.refuse(ctx, *l.life, l.checkpointWritten(), why)
		}
		if err == nil {
			err = l.exec(ctx, "release the lease", releaseSQL, failure)
		}
		if err == nil || errors.Is(err, errFenced) {
			return
		}
	}
	l.relay.logger.WarnContext(ctx, "lease not released; another relay can go on when it has run out", "error", err, "in", l.relay.lease)
}

// checkpointWritten is when the checkpoint was that is known.
func (l *lease) checkpointWritten() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written
}

// exec runs a statement that does nothing when the lease is another's.
func (l *lease) exec(ctx context.Context, what, sql string, args ...any) error {
	var written time.Time
	err := l.relay.store.Pool().QueryRow(ctx, l.relay.sql(sql), append([]any{l.epoch, l.leader, l.life}, args...)...).Scan(&written)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%w: %s: another relay has taken it, or a repair has ended it", errFenced, what)
	}
	if err != nil {
		return explain(what, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if written.After(l.written) {
		l.written = written
	}
	return nil
}
