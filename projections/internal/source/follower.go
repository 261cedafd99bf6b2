package source

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/gather"
	"github.com/asof-dev/asof/projections/internal/members"
)

// follower feeds one build from Kafka, in one process.
type follower struct {
	*Kafka
	feed    *Feed
	b       books.Build
	room    *gather.Room[*desk]
	reading atomic.Bool  // all that the topics had before is applied, and they are read
	pulls   sync.Mutex   // held while a page of the log is applied because Kafka is not read
	batches atomic.Int64 // from Kafka
	desks   sync.Map     // of the partitions that are read here: by apply.Partition, a *desk
}

// ApplyError is a failure that is not Kafka's.
type ApplyError struct{ error }

func (e ApplyError) Unwrap() error { return e.error }

// errTopics: the topics are not those that the session began with.
var errTopics = errors.New("projections: topics came, went or were made anew")

// consume reads Kafka again and again. Its failures do not end the projector, which
// follows the log meanwhile; those of applying do.
func (f *follower) consume(ctx context.Context) error {
	backoff := NewBackoff()
	for {
		batches := f.batches.Load()
		err := f.session(ctx)
		var ours ApplyError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &ours):
			return ours.error
		case errors.Is(err, errTopics):
			f.feed.Applier.Logger.InfoContext(ctx, "reads Kafka anew", "why", err)
			backoff.Reset()
		default:
			if f.batches.Load() > batches {
				backoff.Reset()
			}
		}
		again := backoff.Next()
		if !errors.Is(err, errTopics) {
			if err := f.tellUnread(ctx, err, again); err != nil {
				return err
			}
		}
		if err := wait.For(ctx, again); err != nil {
			return err
		}
	}
}

// tellUnread says that Kafka cannot be read.
func (f *follower) tellUnread(ctx context.Context, why error, again time.Duration) error {
	if f.feed.Applier.Log == nil {
		f.feed.Applier.Logger.WarnContext(ctx, "Kafka cannot be read", "error", why, "again in", again)
		return f.feed.SetSource(ctx, f.b, fmt.Sprintf("none, as %s cannot be read: %v", f, why))
	}
	f.feed.Applier.Logger.WarnContext(ctx, "Kafka cannot be read; the log is followed meanwhile", "error", why, "again in", again)
	return f.feed.SetSource(ctx, f.b, fmt.Sprintf("log, as %s cannot be read: %v", f, why))
}

// session is one membership of the group.
func (f *follower) session(ctx context.Context) error {
	topics, err := f.begin(ctx)
	if err != nil {
		return err
	}
	f.pulls.Lock() // a page of the log that is under way comes first
	f.reading.Store(true)
	f.pulls.Unlock()
	defer f.reading.Store(false)
	name, err := f.groupName(ctx)
	if err != nil {
		return err
	}
	if err := f.feed.SetSource(ctx, f.b, f.String()); err != nil {
		return ApplyError{err}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.watchTopics(ctx, topics) })
	group.Go(func() error {
		joined := func(ctx context.Context, member string) {
			members.Stay(ctx, f.feed.Applier.Books, members.Member{ID: member, Group: name, Logger: f.feed.Applier.Logger, Remove: f.Client.Remove})
		}
		err := f.Client.Consume(ctx, kafka.Group{Name: name, Topics: topics.names(), From: kafka.First, Joined: joined}, f.read)
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
	if err := f.feed.Applier.Books.Pool().QueryRow(ctx, databaseSQL).Scan(&database); err != nil {
		return "", ApplyError{fault.Explain("name the consumer group", err)}
	}
	return fmt.Sprintf("asof.%s.%s.%s.v%d.%.8s", database, f.feed.Applier.Books.Schema(), f.b.Name, f.b.Version, f.b.Identity), nil
}

// begin makes sure that every partition has an offset before which nothing is
// missing: it notes where the partitions end, then waits until the log is applied up
// to its settled head. Whatever is in a partition before its end was in the log
// before that.
func (f *follower) begin(ctx context.Context) (topics, error) {
	if f.feed.Applier.Log == nil {
		found, err := f.feed.Whole(ctx, f.Kafka, f.b)
		if err != nil {
			return nil, err
		}
		if err := f.catchUp(ctx, found); err != nil {
			return nil, err
		}
		if _, err := f.feed.Applier.CommitLive(ctx, f.b, found.Begin()); err != nil {
			return nil, ApplyError{err}
		}
		return found.Heads, nil
	}
	stored, err := f.feed.Applier.Offsets(ctx, f.feed.Applier.Books.Pool(), f.b)
	if err != nil {
		return nil, ApplyError{err}
	}
	heads, err := f.heads(ctx, f.feed.Applier.Def.Name) // after the offsets: what they say was there before
	if err != nil {
		return nil, err
	}
	head, err := f.feed.Applier.Log.Settle(ctx, time.Time{})
	if err != nil {
		return nil, ApplyError{err}
	}
	for { // watchLog reads it
		b, err := f.feed.Applier.Live(ctx)
		if err != nil {
			return nil, ApplyError{err}
		}
		if b.Position >= head {
			break
		}
		if err := wait.For(ctx, f.feed.Poll); err != nil {
			return nil, err
		}
	}
	w := &apply.Work{}
	for topic, partitions := range heads {
		for number, next := range partitions {
			w.Lanes = append(w.Lanes, number)
			if at, begun := stored[apply.Partition{Topic: topic, Number: number}]; !begun || at > next { // else others may be reading it
				w.Begin = append(w.Begin, apply.Offset{Topic: topic, Partition: number, Next: next})
			}
		}
	}
	if _, err := f.feed.Applier.CommitLive(ctx, f.b, w); err != nil {
		return nil, ApplyError{err}
	}
	return heads, nil
}
