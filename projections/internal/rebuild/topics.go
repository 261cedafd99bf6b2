package rebuild

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/source"
)

// A rebuild of a read model that is fed from topics alone reads them from their beginning.

// workTopics is work without a log.
func (r *Rebuild) workTopics(ctx context.Context) error {
	if err := r.fillTopics(ctx); err != nil {
		return err
	}
	r.tell("verifying")
	return r.switchOver(ctx)
}

// fillTopics reads the topics up to where they end now.
func (r *Rebuild) fillTopics(ctx context.Context) error {
	s := r.topics
	found, err := r.feed.Whole(ctx, s, r.b)
	if err != nil {
		return bareApply(err)
	}
	r.progress.Done, r.progress.Total = 0, 0
	for topic, partitions := range found.Heads {
		for number, head := range partitions {
			r.progress.Total += head
			r.progress.Done += found.Stored[apply.Partition{Topic: topic, Number: number}]
		}
	}
	r.tell("reading")
	commit := func(w *apply.Work) error {
		w.Bulk = true
		b, err := r.applier.Commit(ctx, r.b, w)
		if err == nil {
			r.b = b
		}
		return err
	}
	if err := commit(found.Begin()); err != nil {
		return err
	}
	for _, topic := range s.InOrder() {
		for number, head := range found.Heads[topic] {
			at := apply.Partition{Topic: topic, Number: number}
			if err := r.fillPartition(ctx, s, at, found.Stored[at], head, commit); err != nil {
				return bareApply(err)
			}
		}
	}
	return r.readWaiting(ctx, s, found, commit)
}

// readWaiting reads streams again that wait in one partition for what another had, until
// there are none.
func (r *Rebuild) readWaiting(ctx context.Context, s *source.Kafka, found *source.WholeTopics, commit func(*apply.Work) error) error {
	for {
		ready, err := r.applier.ReadyPartitions(ctx, r.b)
		if err != nil {
			return err
		}
		ready = slices.DeleteFunc(ready, func(at apply.Partition) bool { return found.Heads[at.Topic][at.Number] == 0 }) // of a topic that is not read any more
		if len(ready) == 0 {
			return nil
		}
		for _, at := range ready {
			if err := r.feed.ReadAgain(ctx, s, r.b, at, found.Heads[at.Topic][at.Number], commit); err != nil {
				return bareApply(err)
			}
		}
	}
}

func (r *Rebuild) fillPartition(ctx context.Context, s *source.Kafka, at apply.Partition, from, to int64, commit func(*apply.Work) error) error {
	next := from
	var rest []kafka.Message // of an event of which a part has yet to come
	take := func(messages []kafka.Message) error {
		before := next
		next = messages[len(messages)-1].Offset + 1
		var gapped bool
		var err error
		if rest, gapped, err = s.Deliver(at, before, append(rest, messages...), commit); err != nil {
			return err
		}
		if len(rest) > 0 {
			next = rest[0].Offset
		}
		r.progress.Done += next - before
		r.tell("reading")
		if !gapped {
			return nil
		}
		return r.feed.ReadAgain(ctx, s, r.b, at, next, commit)
	}
	if err := r.feed.ReadAgain(ctx, s, r.b, at, next, commit); err != nil { // one that was stopped in between
		return err
	}
	return s.Client.Range(ctx, at.Topic, at.Number, from, to, func(messages []kafka.Message) error {
		for len(messages) > 0 {
			n := min(len(messages), apply.PageEvents)
			if err := take(messages[:n]); err != nil {
				return err
			}
			messages = messages[n:]
		}
		return nil
	})
}

// levelTopics brings the shadow, in the switch, up to where the live build has read.
func (r *Rebuild) levelTopics(ctx context.Context, tx pgx.Tx, old, shadow *books.Build) error {
	if old == nil || old.Kind != books.KindTopic {
		return nil
	}
	was, err := r.applier.Offsets(ctx, tx, *old)
	if err != nil {
		return err
	}
	is, err := r.applier.Offsets(ctx, tx, *shadow)
	if err != nil {
		return err
	}
	s, behind := r.topics, int64(0)
	for at, next := range was {
		behind += max(next-is[at], 0)
	}
	if behind > int64(r.short()) {
		return errBehind
	}
	for at, next := range was {
		from, begun := is[at]
		if !begun {
			return fmt.Errorf("%w: partition %d of %s is new", errBehind, at.Number, at.Topic)
		}
		var rest []kafka.Message
		err := s.Client.Range(ctx, at.Topic, at.Number, from, next, func(messages []kafka.Message) (err error) {
			all := append(rest, messages...) //nolint:gocritic // rest is made anew each time
			rest, _, err = s.Deliver(at, from, all, func(w *apply.Work) error { return r.inSwitch(ctx, tx, shadow, w) })
			if from = messages[len(messages)-1].Offset + 1; len(rest) > 0 {
				from = rest[0].Offset
			}
			return err
		})
		if err == nil {
			err = s.DeliverAll(at, from, rest, func(w *apply.Work) error { return r.inSwitch(ctx, tx, shadow, w) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bareApply is the error of applying as it is.
func bareApply(err error) error {
	if ours, ok := errors.AsType[source.ApplyError](err); ok {
		return ours.Unwrap()
	}
	return err
}
