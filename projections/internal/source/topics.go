package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/apply"
)

// topics is where the partitions of topics end: by topic and partition, the offset of
// the next message.
type topics map[string]map[int]int64

func (t topics) names() []string { return slices.Sorted(maps.Keys(t)) }

// heads asks Kafka for the topics that there are.
func (s *Kafka) heads(ctx context.Context, name string) (topics, error) {
	found := topics{}
	for _, topic := range s.topics {
		heads, err := s.Client.Heads(ctx, topic)
		if errors.Is(err, kafka.ErrNoTopic) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("projections: %s: find the end of topic %s: %w", name, topic, err)
		}
		found[topic] = heads
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("projections: %s: %w: %s: does the relay run? it makes the topics", name, kafka.ErrNoTopic, strings.Join(s.topics, ", "))
	}
	return found, nil
}

// watchTopics ends the session when its topics or partitions are not the same any
// more, or end before what was read from them: then a topic was deleted and made
// anew, or has lost its data.
func (f *follower) watchTopics(ctx context.Context, began topics) error {
	for {
		if err := wait.For(ctx, f.Every); err != nil {
			return err
		}
		stored, err := f.feed.Applier.Offsets(ctx, f.feed.Applier.Books.Pool(), f.b)
		if err != nil {
			return ApplyError{err}
		}
		now, err := f.heads(ctx, f.feed.Applier.Def.Name) // after the offsets: what they say was there before
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			f.feed.Applier.Logger.WarnContext(ctx, "topics cannot be looked at", "error", err)
			continue
		}
		if err := began.follow(now, stored); err != nil {
			return err
		}
		if f.feed.Applier.Log == nil {
			_, err := f.feed.Whole(ctx, f.Kafka, f.b)
			if _, ours := errors.AsType[ApplyError](err); ours {
				return err
			}
			if err := f.lookAgain(ctx, nil); err != nil {
				return err
			}
		}
		if len(now) != len(began) {
			return fmt.Errorf("%w: there are %s", errTopics, strings.Join(now.names(), ", "))
		}
	}
}

// follow refuses topics that are not those of before, of which so much is read.
func (t topics) follow(now topics, stored map[apply.Partition]int64) error {
	for topic, partitions := range now {
		if len(partitions) != len(t[topic]) {
			return fmt.Errorf("%w: %s has %d partitions, had %d", errTopics, topic, len(partitions), len(t[topic]))
		}
		for number, next := range partitions {
			if read := stored[apply.Partition{Topic: topic, Number: number}]; next < read {
				return fmt.Errorf("%w: partition %d of %s ends at offset %d and was read up to %d", errTopics, number, topic, next, read)
			}
		}
	}
	return nil
}
