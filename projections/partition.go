package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

// read applies the messages of one partition while it is assigned to this process.
func (f *follower) read(ctx context.Context, part *kafka.Partition) error {
	at := partition{part.Topic(), part.Number()}
	next, err := f.offset(ctx, at)
	if err != nil {
		return err
	}
	part.SeekTo(next)
	if f.p.store == nil {
		if err := f.sameTopic(ctx, part); err != nil {
			return err
		}
		// One that was stopped in between.
		err := f.p.readAgain(ctx, f.kafkaSource, f.b, at, next, func(w *work) error { return f.apply(ctx, at, w) })
		if err != nil {
			return err
		}
	}
	warned := false
	for {
		messages, err := part.Fetch(ctx, f.p.batch)
		if err != nil {
			return err
		}
		foreign := false
		apply := func(w *work) error {
			err := f.apply(ctx, at, w)
			next, foreign = w.offset.next, foreign || w.foreign > 0
			return err
		}
		if f.p.store == nil {
			err = f.feedAlone(ctx, at, next, messages, apply)
		} else {
			err = apply(f.work(at, next, messages))
		}
		if err != nil {
			return err
		}
		if foreign && !warned {
			warned = true // once an assignment is enough
			f.p.log.WarnContext(ctx, "messages that are no events of the projection's are skipped", "topic", at.topic, "partition", at.number)
		}
	}
}

// feedAlone applies messages without a log behind them.
func (f *follower) feedAlone(ctx context.Context, at partition, next int64, messages []kafka.Message, apply func(*work) error) error {
	gapped, err := f.feed(at, next, messages, apply)
	if err != nil || !gapped {
		return err
	}
	return f.p.readAgain(ctx, f.kafkaSource, f.b, at, messages[len(messages)-1].Offset+1, apply)
}

// sameTopic refuses a topic that was made anew since it was read.
func (f *follower) sameTopic(ctx context.Context, part *kafka.Partition) error {
	known, err := f.p.topicIDs(ctx, f.b)
	if err != nil {
		return applyError{err}
	}
	was, read := known[part.Topic()]
	if id, told := part.TopicID(); read && told && was != id {
		return fmt.Errorf("%w: %s", errTopics, part.Topic())
	}
	return nil
}

// offset returns where to read a partition from. One that is new has none yet.
func (f *follower) offset(ctx context.Context, at partition) (int64, error) {
	stored, err := f.p.offsets(ctx, f.p.target.Pool(), f.b)
	if err != nil {
		return 0, applyError{err}
	}
	next, known := stored[at]
	if !known {
		return 0, fmt.Errorf("%w: partition %d of %s is new", errTopics, at.number, at.topic)
	}
	return next, nil
}

func (f *follower) work(at partition, from int64, messages []kafka.Message) *work {
	w := &work{
		events: make([]es.RecordedEvent, 0, len(messages)),
		offset: &offset{topic: at.topic, partition: at.number, from: from, next: messages[len(messages)-1].Offset + 1},
	}
	for _, m := range messages {
		e, ok := f.event(m)
		if !ok {
			w.foreign++
			continue
		}
		w.events = append(w.events, e)
	}
	return w
}

// apply commits a batch with its offset, and with what other partitions have brought. When another process has moved the offset,
// one of the two does not know yet that it has lost the partition; both may go on,
// as what one has applied the other ignores.
func (f *follower) apply(ctx context.Context, at partition, w *work) error {
	err := f.room.Do(w,
		func(all []*work) error { return f.commitTogether(ctx, all) },
		func() error { return f.applyAlone(ctx, at, w) })
	if err == nil {
		f.batches.Add(1)
	}
	return err
}

func (f *follower) applyAlone(ctx context.Context, at partition, w *work) error {
	for {
		_, err := f.p.commitLive(ctx, f.b, w)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, errMoved) {
			return applyError{err}
		}
		if w.again != nil { // it ends where the partition was; who has moved it on reads the stream again
			return nil
		}
		began := w.offset.from
		if w.offset.from, err = f.offset(ctx, at); err != nil {
			return err
		}
		if w.offset.from < began { // the database was put back under us
			return fmt.Errorf("%w: partition %d of %s was read up to offset %d, and the read model is at %d", errTopics, at.number, at.topic, began, w.offset.from)
		}
		w.offset.next = max(w.offset.next, w.offset.from)
	}
}
