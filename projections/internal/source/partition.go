package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// read applies the messages of one partition while it is assigned to this process.
func (f *follower) read(ctx context.Context, part *kafka.Partition) error {
	at := apply.Partition{Topic: part.Topic(), Number: part.Number()}
	next, err := f.offset(ctx, at)
	if err != nil {
		return err
	}
	part.SeekTo(next)
	d := newDesk(f, at, next)
	f.desks.Store(at, d)
	defer f.desks.CompareAndDelete(at, d)
	if f.feed.Applier.Log == nil {
		if err := f.sameTopic(ctx, part); err != nil {
			return err
		}
		// One that was stopped in between.
		if err := f.readAgain(ctx, d, next); err != nil {
			return err
		}
	}
	return f.readOn(ctx, part, d)
}

// readOn fetches messages and applies them, both at the same time.
func (f *follower) readOn(ctx context.Context, part *kafka.Partition, d *desk) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for {
			messages, err := part.Fetch(ctx, f.feed.Batch)
			if err == nil {
				err = d.put(ctx, messages)
			}
			if err != nil {
				return err
			}
		}
	})
	group.Go(func() error {
		for warned := false; ; {
			foreign, err := f.applyNext(ctx, d)
			if err != nil {
				return err
			}
			if foreign && !warned {
				warned = true // once an assignment is enough
				f.feed.Applier.Logger.WarnContext(ctx, "messages that are no events of the projection's are skipped", "topic", d.at.Topic, "partition", d.at.Number)
			}
		}
	})
	return group.Wait()
}

// applyNext applies what has come of a partition, and reports messages that are none of the
// projection's.
func (f *follower) applyNext(ctx context.Context, d *desk) (foreign bool, err error) {
	if err := d.await(ctx); err != nil {
		return false, err
	}
	if d.again.Swap(false) {
		if err := f.readWaiting(ctx, d); err != nil || !d.ready() {
			return false, err
		}
	}
	err = f.room.Do(d,
		func(all []*desk) error { return f.applyTogether(ctx, all) },
		func() error { return f.apply(ctx, d.at, d.work()) })
	if err != nil {
		return false, err
	}
	w := d.applied()
	f.batches.Add(1)
	if w.Gapped {
		if err = f.readAgain(ctx, d, w.Offset.Next); err == nil {
			err = f.lookAgain(ctx, d)
		}
	}
	return w.Foreign > 0, err
}

// readAgain reads streams again that have waited in a partition.
func (f *follower) readAgain(ctx context.Context, d *desk, next int64) error {
	return f.feed.ReadAgain(ctx, f.Kafka, f.b, d.at, next, func(w *apply.Work) error { return f.apply(ctx, d.at, w) })
}

// readWaiting reads streams again that have waited for what another partition has brought; and
// then those in others that have waited for these.
func (f *follower) readWaiting(ctx context.Context, d *desk) error {
	if err := wait.For(ctx, lookPause-time.Since(d.looked)); err != nil { // partitions may wake each other in vain while one is taken over
		return err
	}
	d.looked = time.Now()
	if err := f.readAgain(ctx, d, d.next); err != nil {
		return err
	}
	return f.lookAgain(ctx, d)
}

// lookPause is how long a partition is not woken again, at least.
const lookPause = 10 * time.Millisecond

// lookAgain has streams read again that wait in another partition than one's own for what has
// come. Another process looks for itself, now and then.
func (f *follower) lookAgain(ctx context.Context, own *desk) error {
	ready, err := f.feed.Applier.ReadyPartitions(ctx, f.b)
	if err != nil {
		return ApplyError{err}
	}
	for _, at := range ready {
		if d, here := f.desks.Load(at); here && d != any(own) {
			d.(*desk).lookAgain() //nolint:forcetypeassert // there are no others
		}
	}
	return nil
}

// sameTopic refuses a topic that was made anew since it was read.
func (f *follower) sameTopic(ctx context.Context, part *kafka.Partition) error {
	known, err := f.feed.Applier.TopicIDs(ctx, f.b)
	if err != nil {
		return ApplyError{err}
	}
	was, read := known[part.Topic()]
	if id, told := part.TopicID(); read && told && was != id {
		return fmt.Errorf("%w: %s", errTopics, part.Topic())
	}
	return nil
}

// offset returns where to read a partition from. One that is new has none yet.
func (f *follower) offset(ctx context.Context, at apply.Partition) (int64, error) {
	stored, err := f.feed.Applier.Offsets(ctx, f.feed.Applier.Books.Pool(), f.b)
	if err != nil {
		return 0, ApplyError{err}
	}
	next, known := stored[at]
	if !known {
		return 0, fmt.Errorf("%w: partition %d of %s is new", errTopics, at.Number, at.Topic)
	}
	return next, nil
}

// apply commits a batch with its offset. When another process has moved the offset,
// one of the two does not know yet that it has lost the partition; both may go on,
// as what one has applied the other ignores.
func (f *follower) apply(ctx context.Context, at apply.Partition, w *apply.Work) error {
	for {
		_, err := f.feed.Applier.CommitLive(ctx, f.b, w)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, fault.ErrMoved) {
			return ApplyError{err}
		}
		if w.Again != nil { // it ends where the partition was; who has moved it on reads the stream again
			return nil
		}
		began := w.Offset.From
		if w.Offset.From, err = f.offset(ctx, at); err != nil {
			return err
		}
		if w.Offset.From < began { // the database was put back under us
			return fmt.Errorf("%w: partition %d of %s was read up to offset %d, and the read model is at %d", errTopics, at.Number, at.Topic, began, w.Offset.From)
		}
		w.Offset.Next = max(w.Offset.Next, w.Offset.From)
	}
}
