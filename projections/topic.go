package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es/kafka"
)

// A read model of another service's events stands in a database that does not have its
// log, and knows that log by Kafka alone. Then the topics are all there is: they must keep
// what they were given, from the first message on.

var (
	// ErrNoLog: what was asked for needs the log, and the read model is fed from Kafka
	// alone.
	ErrNoLog = errors.New("projections: there is no log behind the read model")
	// ErrTopicLost: a topic does not have (any more) what the read model needs of it. The
	// text says which, and what to do.
	ErrTopicLost = errors.New("projections: the topic is not whole")
)

// topicSource reads topics without a log behind them.
type topicSource struct{ *kafkaSource }

func (s *topicSource) check(p *Projector) error {
	if err := s.checkTopics(p); err != nil {
		return err
	}
	s.name(p)
	return nil
}

func (s *topicSource) kind() string { return kindTopic }

func (s *topicSource) follow(ctx context.Context, p *Projector, b build) error {
	f := &follower{kafkaSource: s.kafkaSource, p: p, b: b, room: p.newRoom()}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.watchBuild(ctx) })
	group.Go(func() error { return f.consume(ctx) })
	return group.Wait()
}

// watchBuild sees to the build until ctx ends or it is not the live one any more.
func (f *follower) watchBuild(ctx context.Context) error {
	for {
		if err := pause(ctx, idleEvery); err != nil {
			return err
		}
		if err := f.p.stillLive(ctx, f.b); err != nil {
			return err
		}
		if !f.reading.Load() {
			continue
		}
		if err := f.p.clearFailure(ctx, f.b); err != nil {
			return err
		}
	}
}

// wholeTopics are topics that have all that a build has not read.
type wholeTopics struct {
	heads  topics
	ids    map[string]uuid.UUID
	stored map[partition]int64 // how far the build has read them
}

// whole checks that topics have all that a build has not read. A partition that it has not
// begun must be there from its first message on.
func (p *Projector) whole(ctx context.Context, s *kafkaSource, b build) (*wholeTopics, error) {
	stored, err := p.offsets(ctx, p.target.Pool(), b)
	if err != nil {
		return nil, applyError{err}
	}
	found, err := s.heads(ctx, p.def.name) // after the offsets: what they say was there before
	if err != nil {
		return nil, err
	}
	known, err := p.topicIDs(ctx, b)
	if err != nil {
		return nil, applyError{err}
	}
	ids := map[string]uuid.UUID{}
	for topic, partitions := range found {
		id, err := s.client.TopicID(ctx, topic)
		if err != nil {
			return nil, err
		}
		ids[topic] = id
		if was := known[topic]; was != id && was != uuid.Nil && id != uuid.Nil {
			return nil, applyError{fmt.Errorf("%w: %s is another topic than the one that was read: it was made anew: rebuild %s once it is whole", ErrTopicLost, topic, b.Name)}
		}
		compacted, err := s.client.Compacted(ctx, topic)
		if err != nil {
			return nil, err
		}
		if compacted {
			return nil, applyError{fmt.Errorf("%w: %s is compacted, and keeps the last message of each stream alone: set its cleanup.policy to delete, publish it anew, and rebuild %s", ErrTopicLost, topic, b.Name)}
		}
		tails, err := s.client.Tails(ctx, topic)
		if err != nil {
			return nil, err
		}
		for number, head := range partitions {
			next, begun := stored[partition{topic, number}]
			switch tail := tails[number]; {
			case begun && next > head:
				err = fmt.Errorf("%w: partition %d of %s ends at offset %d and was read up to %d: it was made anew, or has lost messages: rebuild %s once it is whole", ErrTopicLost, number, topic, head, next, b.Name)
			case !begun && tail > 0:
				err = fmt.Errorf("%w: partition %d of %s begins at offset %d: what was before is not kept any more: have the topic keep all (retention.ms=-1, retention.bytes=-1) and publish it anew, or follow the log", ErrTopicLost, number, topic, tail)
			case begun && next < tail:
				err = fmt.Errorf("%w: partition %d of %s begins at offset %d and was read up to %d: what was between is not kept any more: have the topic keep all (retention.ms=-1, retention.bytes=-1), publish it anew, and rebuild %s", ErrTopicLost, number, topic, tail, next, b.Name)
			}
			if err != nil {
				return nil, applyError{err}
			}
		}
	}
	return &wholeTopics{heads: found, ids: ids, stored: stored}, nil
}

// begin makes sure that every partition has an offset: that of its first message, where
// nothing was read yet.
func (t *wholeTopics) begin() *work {
	w := &work{}
	for topic, partitions := range t.heads {
		for number := range partitions {
			if _, begun := t.stored[partition{topic, number}]; !begun {
				w.begin = append(w.begin, offset{topic: topic, partition: number, id: t.ids[topic]})
			}
		}
	}
	return w
}

// feed applies messages of one partition: apply commits each work, with the offset.
func (s *kafkaSource) feed(at partition, from int64, messages []kafka.Message, apply func(*work) error) (gapped bool, err error) {
	for len(messages) > 0 {
		w, n := s.runOf(at, from, messages)
		if err := apply(w); err != nil {
			return gapped, err
		}
		gapped = gapped || w.gapped
		from, messages = w.offset.next, messages[n:]
	}
	return gapped, nil
}

// runOf is the work of the first messages that are of one source and life.
func (s *kafkaSource) runOf(at partition, from int64, messages []kafka.Message) (*work, int) {
	w := &work{offset: &offset{topic: at.topic, partition: at.number, from: from}}
	for i, m := range messages {
		e, ok := s.event(m)
		if !ok {
			w.foreign++
		} else {
			life, _ := kafka.Life(m)
			source := kafka.Source(m)
			if len(w.events) == 0 {
				w.source, w.life = source, life
			}
			if w.source != source || w.life != life {
				return w, i
			}
			w.events, w.offsets = append(w.events, e), append(w.offsets, m.Offset)
		}
		w.offset.next = m.Offset + 1
	}
	return w, len(messages)
}

// readAgain reads streams again that have got what they waited for, up to where their
// partition is read.
func (p *Projector) readAgain(ctx context.Context, s *kafkaSource, b build, at partition, next int64, apply func(*work) error) error {
	gaps, err := p.readyGaps(ctx, b, at)
	if err != nil {
		return applyError{err}
	}
	for _, g := range gaps {
		w := &work{again: &g, source: g.source, offset: &offset{topic: at.topic, partition: at.number, from: next, next: next}}
		err := s.client.Range(ctx, at.topic, at.number, g.next, next, func(messages []kafka.Message) error {
			for _, m := range messages {
				if e, ok := s.event(m); ok && e.Stream == g.stream && kafka.Source(m) == g.source {
					w.life, _ = kafka.Life(m)
					w.events, w.offsets = append(w.events, e), append(w.offsets, m.Offset)
				}
			}
			return nil
		})
		if errors.Is(err, kafka.ErrGone) {
			p.log.WarnContext(ctx, "a stream lacks events for ever: rebuild", "stream", g.stream, "source", g.source, "error", err)
			_, err = p.target.Pool().Exec(ctx, p.q(lostGapSQL), b.ID, g.source, g.stream.Category, g.stream.ID)
			if err != nil {
				return applyError{explain("say that events are lost", err)}
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := apply(w); err != nil {
			return err
		}
	}
	return nil
}

// askKafka is how long status waits for Kafka.
const askKafka = 2 * time.Second

// unread counts the messages of the topics that the live build has not read; -1 when that
// is not known.
func (p *Projector) unread(ctx context.Context, id int64) int64 {
	ctx, cancel := context.WithTimeout(ctx, askKafka)
	defer cancel()
	stored, err := p.offsets(ctx, p.target.Pool(), build{ID: id})
	if err != nil || id == 0 {
		return -1
	}
	found, err := p.topics().heads(ctx, p.def.name)
	if err != nil {
		return -1
	}
	var n int64
	for topic, partitions := range found {
		for number, head := range partitions {
			n += max(head-stored[partition{topic, number}], 0)
		}
	}
	return n
}
