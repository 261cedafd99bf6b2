package source

import (
	"context"
	"errors"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// How what Kafka lost is found.
//
// A lost event in the middle of a stream shows as a gap when the next one comes; a
// lost last one shows nowhere. So the settled head of the log is noted now and then,
// and what is below it and not applied one interval later is read from the log. No
// clocks are compared, and the position of the build, up to which everything is
// applied, moves on with each look.
//
// A log in another database may have been put back without the read model, which then has
// events that are lost: each look begins with that.

// watchLog looks at the log until ctx ends or the build is not the live one any more.
// While Kafka is not read, it follows the log as a projector without Kafka does.
func (f *follower) watchLog(ctx context.Context) error {
	var noted es.Position
	var looked time.Time
	for {
		if err := f.feed.stillLive(ctx, f.b); err != nil {
			return err
		}
		next := min(f.Every, time.Second)
		if !f.reading.Load() {
			next = f.feed.Poll
			noted, looked = 0, time.Time{}
			if err := f.followNow(ctx); err != nil {
				return err
			}
		} else if time.Since(looked) >= f.Every {
			if err := f.sweepNow(ctx, noted); err != nil {
				return err
			}
			var err error
			if noted, err = f.settled(ctx); err != nil {
				return err
			}
			looked = time.Now()
		}
		if err := wait.For(ctx, next); err != nil {
			return err
		}
	}
}

// now returns the build as it is now.
func (f *follower) now(ctx context.Context) (books.Build, error) {
	b, err := f.feed.Applier.Live(ctx)
	if err == nil && b.ID != f.b.ID {
		err = fault.ErrFenced
	}
	return b, err
}

func (f *follower) followNow(ctx context.Context) error {
	b, err := f.now(ctx)
	if err != nil {
		return err
	}
	return f.followLog(ctx, b)
}

func (f *follower) sweepNow(ctx context.Context, upTo es.Position) error {
	b, err := f.now(ctx)
	if err != nil {
		return err
	}
	if err := f.feed.Applier.VerifyReach(ctx, b); err != nil {
		return err
	}
	return f.sweep(ctx, b, upTo)
}

// followLog applies what the log has, until Kafka is read.
func (f *follower) followLog(ctx context.Context, b books.Build) error {
	for {
		next, n, err := f.pullUnread(ctx, b)
		if err != nil || n == 0 {
			return err
		}
		b = next
	}
}

// pullUnread applies a page of the log, unless Kafka is read.
func (f *follower) pullUnread(ctx context.Context, b books.Build) (books.Build, int, error) {
	f.pulls.Lock()
	defer f.pulls.Unlock()
	if f.reading.Load() {
		return b, 0, nil
	}
	return f.feed.Pull(ctx, b, f.feed.Batch)
}

// settled returns the settled head; zero when an append under way keeps it back for
// too long, as looking at the build must go on.
func (f *follower) settled(ctx context.Context) (es.Position, error) {
	short, cancel := context.WithTimeout(ctx, f.Every)
	defer cancel()
	head, err := f.feed.Applier.Log.Settle(short, time.Time{})
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return 0, nil
	}
	return head, err
}

// overSQL counts the events between two positions, and finds the id of the event at the
// latter. Bind: $1 after, $2 up to.
const overSQL = `
select count(*), (select event_id from {asof}.events where position = $2)
from {asof}.events where position > $1 and position <= $2`

// sweep applies what is missing up to a settled position, and moves the build's
// position there.
func (f *follower) sweep(ctx context.Context, b books.Build, upTo es.Position) error {
	if upTo <= b.Position {
		return nil
	}
	a := f.feed.Applier
	missing, _, err := a.Comparison().Unapplied(ctx, b, upTo, a.Def.Categories)
	if err != nil {
		return err
	}
	if missing == 0 {
		o := &apply.Over{After: b.Position}
		if err := a.Log.Pool().QueryRow(ctx, books.Of(a.Log).SQL(overSQL), int64(b.Position), int64(upTo)).Scan(&o.Events, &o.Event); err != nil {
			return fault.Explain("compare with the log", err)
		}
		_, err := a.CommitLive(ctx, b, &apply.Work{Position: upTo, Over: o})
		return err
	}
	a.Logger.InfoContext(ctx, "events that Kafka did not bring are read from the log", "events", missing, "position", upTo)
	for b.Position < upTo {
		next, n, err := f.feed.Pull(ctx, b, f.feed.Batch)
		if err != nil {
			return err
		}
		if n == 0 {
			return nil // what is left is settled, but an append keeps this reader back: next time
		}
		b = next
	}
	return nil
}
