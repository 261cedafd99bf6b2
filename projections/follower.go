package projections

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/projections/internal/gather"
)

// follower feeds one build from Kafka, in one process.
type follower struct {
	*kafkaSource
	p       *Projector
	b       build
	room    *gather.Room[*desk]
	reading atomic.Bool  // all that the topics had before is applied, and they are read
	batches atomic.Int64 // from Kafka
}

// applyError is a failure that is not Kafka's.
type applyError struct{ error }

func (e applyError) Unwrap() error { return e.error }

// errTopics: the topics are not those that the session began with.
var errTopics = errors.New("projections: topics came, went or were made anew")

// consume reads Kafka again and again. Its failures do not end the projector, which
// follows the log meanwhile; those of applying do.
func (f *follower) consume(ctx context.Context) error {
	wait := firstBackoff
	for {
		batches := f.batches.Load()
		err := f.session(ctx)
		var ours applyError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &ours):
			return ours.error
		case errors.Is(err, errTopics):
			f.p.log.InfoContext(ctx, "reads Kafka anew", "why", err)
			wait = firstBackoff
		default:
			if f.batches.Load() > batches {
				wait = firstBackoff
			}
			if err := f.tellUnread(ctx, err, wait); err != nil {
				return err
			}
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, lastBackoff)
	}
}

// tellUnread says that Kafka cannot be read.
func (f *follower) tellUnread(ctx context.Context, why error, wait time.Duration) error {
	if f.p.store == nil {
		f.p.log.WarnContext(ctx, "Kafka cannot be read", "error", why, "again in", wait)
		return f.p.setSource(ctx, f.b, fmt.Sprintf("none, as %s cannot be read: %v", f, why))
	}
	f.p.log.WarnContext(ctx, "Kafka cannot be read; the log is followed meanwhile", "error", why, "again in", wait)
	return f.p.setSource(ctx, f.b, fmt.Sprintf("log, as %s cannot be read: %v", f, why))
}

// session is one membership of the group.
func (f *follower) session(ctx context.Context) error {
	topics, err := f.begin(ctx)
	if err != nil {
		return err
	}
	name, err := f.groupName(ctx)
	if err != nil {
		return err
	}
	if err := f.p.setSource(ctx, f.b, f.String()); err != nil {
		return applyError{err}
	}
	f.reading.Store(true)
	defer f.reading.Store(false)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.watchTopics(ctx, topics) })
	group.Go(func() error {
		err := f.client.Consume(ctx, kafka.Group{Name: name, Topics: topics.names(), From: kafka.First}, f.read)
		if err == nil && ctx.Err() == nil {
			err = errors.New("projections: the consumer group ended by itself")
		}
		return err
	})
	return group.Wait()
}

// Bind: none.
const databaseSQL = `select current_database()`

// groupName is the build's: another build, another store and a copy of this database
// under another name have groups of their own.
func (f *follower) groupName(ctx context.Context) (string, error) {
	var database string
	if err := f.p.target.Pool().QueryRow(ctx, databaseSQL).Scan(&database); err != nil {
		return "", applyError{explain("name the consumer group", err)}
	}
	return fmt.Sprintf("asof.%s.%s.%s.v%d.%.8s", database, f.p.target.Schema(), f.b.Name, f.b.Version, f.b.Identity), nil
}

// begin makes sure that every partition has an offset before which nothing is
// missing: it notes where the partitions end, then waits until the log is applied up
// to its settled head. Whatever is in a partition before its end was in the log
// before that.
func (f *follower) begin(ctx context.Context) (topics, error) {
	if f.p.store == nil {
		found, err := f.p.whole(ctx, f.kafkaSource, f.b)
		if err != nil {
			return nil, err
		}
		if _, err := f.p.commitLive(ctx, f.b, found.begin()); err != nil {
			return nil, applyError{err}
		}
		return found.heads, nil
	}
	heads, err := f.heads(ctx, f.p.def.name)
	if err != nil {
		return nil, err
	}
	head, err := f.p.store.Settle(ctx, time.Time{})
	if err != nil {
		return nil, applyError{err}
	}
	for { // watchLog reads it
		b, err := f.p.live(ctx)
		if err != nil {
			return nil, applyError{err}
		}
		if b.Position >= head {
			break
		}
		if err := pause(ctx, f.p.poll); err != nil {
			return nil, err
		}
	}
	var begin []offset
	for topic, partitions := range heads {
		for number, next := range partitions {
			begin = append(begin, offset{topic: topic, partition: number, next: next})
		}
	}
	if _, err := f.p.commitLive(ctx, f.b, &work{begin: begin}); err != nil {
		return nil, applyError{err}
	}
	return heads, nil
}
