package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// A read model of another service's events stands in a database that does not have its
// log, and knows that log by Kafka alone. Then the topics are all there is: they must keep
// what they were given, from the first message on.

// Topics reads topics without a log behind them.
type Topics struct{ *Kafka }

// Check implements [Source].
func (s *Topics) Check(feed *Feed) error {
	if err := s.checkTopics(feed); err != nil {
		return err
	}
	s.name(feed)
	return nil
}

// Kind implements [Source].
func (s *Topics) Kind() string { return books.KindTopic }

// Follow implements [Source].
func (s *Topics) Follow(ctx context.Context, feed *Feed, b books.Build) error {
	f := &follower{Kafka: s.Kafka, feed: feed, b: b, room: feed.newRoom()}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.watchBuild(ctx) })
	group.Go(func() error { return f.consume(ctx) })
	return group.Wait()
}

// watchBuild sees to the build until ctx ends or it is not the live one any more.
func (f *follower) watchBuild(ctx context.Context) error {
	for {
		if err := wait.For(ctx, IdleEvery); err != nil {
			return err
		}
		if err := f.feed.stillLive(ctx, f.b); err != nil {
			return err
		}
		if !f.reading.Load() {
			continue
		}
		if err := f.feed.clearFailure(ctx, f.b); err != nil {
			return err
		}
	}
}

// WholeTopics are topics that have all that a build has not read.
type WholeTopics struct {
	Heads  topics
	ids    map[string]uuid.UUID
	Stored map[apply.Partition]int64 // how far the build has read them
}

// Whole checks that topics have all that a build has not read. A partition that it has not
// begun must be there from its first message on.
func (f *Feed) Whole(ctx context.Context, s *Kafka, b books.Build) (*WholeTopics, error) {
	stored, err := f.Applier.Offsets(ctx, f.Applier.Books.Pool(), b)
	if err != nil {
		return nil, ApplyError{err}
	}
	found, err := s.heads(ctx, f.Applier.Def.Name) // after the offsets: what they say was there before
	if err != nil {
		return nil, err
	}
	known, err := f.Applier.TopicIDs(ctx, b)
	if err != nil {
		return nil, ApplyError{err}
	}
	ids := map[string]uuid.UUID{}
	for topic, partitions := range found {
		id, err := s.Client.TopicID(ctx, topic)
		if err != nil {
			return nil, err
		}
		ids[topic] = id
		if was := known[topic]; was != id && was != uuid.Nil && id != uuid.Nil {
			return nil, ApplyError{fmt.Errorf("%w: %s is another topic than the one that was read: it was made anew: rebuild %s once it is whole", fault.ErrTopicLost, topic, b.Name)}
		}
		compacted, err := s.Client.Compacted(ctx, topic)
		if err != nil {
			return nil, err
		}
		if compacted {
			return nil, ApplyError{fmt.Errorf("%w: %s is compacted, and keeps the last message of each stream alone: set its cleanup.policy to delete, publish it anew, and rebuild %s", fault.ErrTopicLost, topic, b.Name)}
		}
		tails, err := s.Client.Tails(ctx, topic)
		if err != nil {
			return nil, err
		}
		for number, head := range partitions {
			next, begun := stored[apply.Partition{Topic: topic, Number: number}]
			switch tail := tails[number]; {
			case begun && next > head:
				err = fmt.Errorf("%w: partition %d of %s ends at offset %d and was read up to %d: it was made anew, or has lost messages: rebuild %s once it is whole", fault.ErrTopicLost, number, topic, head, next, b.Name)
			case !begun && tail > 0:
				err = fmt.Errorf("%w: partition %d of %s begins at offset %d: what was before is not kept any more: have the topic keep all (retention.ms=-1, retention.bytes=-1) and publish it anew, or follow the log", fault.ErrTopicLost, number, topic, tail)
			case begun && next < tail:
				err = fmt.Errorf("%w: partition %d of %s begins at offset %d and was read up to %d: what was between is not kept any more: have the topic keep all (retention.ms=-1, retention.bytes=-1), publish it anew, and rebuild %s", fault.ErrTopicLost, number, topic, tail, next, b.Name)
			}
			if err != nil {
				return nil, ApplyError{err}
			}
		}
	}
	return &WholeTopics{Heads: found, ids: ids, Stored: stored}, nil
}

// Begin makes sure that every partition has an offset: that of its first message, where
// nothing was read yet.
func (t *WholeTopics) Begin() *apply.Work {
	w := &apply.Work{}
	for topic, partitions := range t.Heads {
		for number := range partitions {
			w.Lanes = append(w.Lanes, number)
			if _, begun := t.Stored[apply.Partition{Topic: topic, Number: number}]; !begun {
				w.Begin = append(w.Begin, apply.Offset{Topic: topic, Partition: number, ID: t.ids[topic]})
			}
		}
	}
	return w
}

// Deliver gives messages of one partition to commit, which applies each work with the offset.
// It returns those of an event of which a part has yet to come, and what is behind them.
func (s *Kafka) Deliver(at apply.Partition, from int64, messages []kafka.Message, commit func(*apply.Work) error) (rest []kafka.Message, gapped bool, err error) {
	for len(messages) > 0 {
		w, n := s.runOf(at, from, messages, false)
		if n == 0 && tooMany(messages) {
			w, n = s.runOf(at, from, messages, true)
		}
		if n == 0 {
			break
		}
		if err := commit(w); err != nil {
			return nil, gapped, err
		}
		gapped = gapped || w.Gapped
		from, messages = w.Offset.Next, messages[n:]
	}
	return messages, gapped, nil
}

// DeliverAll is Deliver for messages that a live build has passed: what is not whole it has left
// out.
func (s *Kafka) DeliverAll(at apply.Partition, from int64, messages []kafka.Message, commit func(*apply.Work) error) error {
	for len(messages) > 0 {
		w, n := s.runOf(at, from, messages, true)
		if err := commit(w); err != nil {
			return err
		}
		from, messages = w.Offset.Next, messages[n:]
	}
	return nil
}

// ReadAgain reads streams again that have got what they waited for, up to where their
// partition is read; and once more those that then wait for what has come by now, too.
func (f *Feed) ReadAgain(ctx context.Context, s *Kafka, b books.Build, at apply.Partition, next int64, commit func(*apply.Work) error) error {
	done := map[apply.Gap]bool{} // another process may close them
	for {
		gaps, err := f.Applier.ReadyGaps(ctx, b, at)
		if err != nil {
			return ApplyError{err}
		}
		gaps = slices.DeleteFunc(gaps, func(g apply.Gap) bool { return done[g] })
		if len(gaps) == 0 {
			return nil
		}
		for _, g := range gaps {
			done[g] = true
			if err := f.readStream(ctx, s, b, at, g, next, commit); err != nil {
				return err
			}
		}
	}
}

// readStream reads a stream from its gap on.
func (f *Feed) readStream(ctx context.Context, s *Kafka, b books.Build, at apply.Partition, g apply.Gap, next int64, commit func(*apply.Work) error) error {
	w := &apply.Work{Again: &g, Source: g.Source, Offset: &apply.Offset{Topic: at.Topic, Partition: at.Number, From: next, Next: next}}
	var of []kafka.Message
	err := s.Client.Range(ctx, at.Topic, at.Number, g.Next, next, func(messages []kafka.Message) error {
		for _, m := range messages {
			if l := s.read(m); l.ours && l.event.Stream == g.Stream && l.source == g.Source {
				of = append(of, m)
			}
		}
		return nil
	})
	if err == nil {
		err = s.applyAgain(ctx, w, of)
	}
	if !errors.Is(err, kafka.ErrGone) {
		if err != nil {
			return err
		}
		return commit(w)
	}
	f.Applier.Logger.WarnContext(ctx, "a stream lacks events for ever: rebuild", "stream", g.Stream, "source", g.Source, "error", err)
	if err := f.Applier.LoseGap(ctx, b, at, g); err != nil {
		return ApplyError{err}
	}
	return nil
}

// askKafka is how long status waits for Kafka.
const askKafka = 2 * time.Second

// Unread counts the messages of the topics that the live build has not read; -1 when that
// is not known.
func (f *Feed) Unread(ctx context.Context, s *Kafka, id int64) int64 {
	ctx, cancel := context.WithTimeout(ctx, askKafka)
	defer cancel()
	stored, err := f.Applier.Offsets(ctx, f.Applier.Books.Pool(), books.Build{ID: id})
	if err != nil || id == 0 {
		return -1
	}
	found, err := s.heads(ctx, f.Applier.Def.Name)
	if err != nil {
		return -1
	}
	var n int64
	for topic, partitions := range found {
		for number, head := range partitions {
			n += max(head-stored[apply.Partition{Topic: topic, Number: number}], 0)
		}
	}
	return n
}
