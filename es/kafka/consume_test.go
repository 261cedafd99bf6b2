package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asof-dev/asof/es/kafka"
)

// consumer is a Consume that runs in the background.
type consumer struct {
	t      *testing.T
	group  string
	cancel context.CancelFunc
	done   chan error
}

func consume(t *testing.T, g kafka.Group, handle func(context.Context, *kafka.Partition) error) *consumer {
	t.Helper()
	return consumeBy(t, newClient(t), g, handle)
}

func consumeBy(t *testing.T, client *kafka.Client, g kafka.Group, handle func(context.Context, *kafka.Partition) error) *consumer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &consumer{t: t, group: g.Name, cancel: cancel, done: make(chan error, 1)}
	go func() { c.done <- client.Consume(ctx, g, handle) }()
	t.Cleanup(c.stop)
	return c
}

// stop ends the Consume and waits for it. A second call does nothing.
func (c *consumer) stop() {
	if c.cancel == nil {
		return
	}
	c.cancel()
	c.cancel = nil
	if err := <-c.done; err != nil {
		c.t.Errorf("consume: %v", err)
	}
}

func TestConsume_reads_everything_in_order_and_goes_on_where_it_stopped(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	p := newProducer(t, c)
	topics := []string{newTopic(t, c, 4), newTopic(t, c, 4)}
	group := kafka.Group{Name: unique("group"), Topics: topics}
	var published []kafka.Message
	for _, topic := range topics {
		published = append(published, numbered(topic, 1000, 20)...)
	}
	publish(t, p, published...)

	var first collector
	one := consume(t, group, first.collect)
	first.wait(t, len(published))
	one.stop()
	for _, topic := range topics {
		wantInOrder(t, of(topic, published), of(topic, first.list()))
	}
	if lag, err := c.Lag(testContext(t), group.Name, topics...); lag != 0 || err != nil {
		t.Fatalf("lag %d, %v", lag, err)
	}

	more := numbered(topics[0], 10, 3)
	publish(t, p, more...)
	var second collector
	two := consume(t, group, second.collect)
	second.wait(t, len(more))
	two.stop()
	if got := second.list(); len(got) != len(more) {
		t.Fatalf("%d messages instead of %d", len(got), len(more))
	}
	wantInOrder(t, more, second.list())
}

func of(topic string, messages []kafka.Message) (list []kafka.Message) {
	for _, m := range messages {
		if m.Topic == topic {
			list = append(list, m)
		}
	}
	return list
}

func TestConsume_carries_the_whole_message(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 1)
	publish(t, newProducer(t, c),
		kafka.Message{Topic: topic, Key: []byte("k"), Value: []byte("v"), Headers: []kafka.Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "ä", Value: []byte{0, 255}}}},
		kafka.Message{Topic: topic},
		kafka.Message{Topic: topic, Key: []byte{}, Value: make([]byte, 1_000_000)},
	)
	got := readAll(t, topic)
	if len(got) != 3 || string(got[0].Key) != "k" || string(got[0].Value) != "v" || len(got[0].Headers) != 3 || string(got[0].Headers[2].Value) != "\x00\xff" ||
		got[0].Time.IsZero() || len(got[1].Value) != 0 || len(got[2].Value) != 1_000_000 || got[2].Offset != 2 {
		t.Fatalf("%d messages, first %+v", len(got), got[0])
	}
	if value, ok := got[0].Header("a"); value != "2" || !ok {
		t.Fatalf("header a is %q", value)
	}
}

// Two members come and go while messages are published: none may be lost, and those
// of a key must first occur in their order.
func TestConsume_loses_and_reorders_nothing_in_a_rebalance(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	p := newProducer(t, c)
	topic := newTopic(t, c, 6)
	group := kafka.Group{Name: unique("group"), Topics: []string{topic}}
	var got collector
	var published []kafka.Message
	emit := func(n int) {
		list := numbered(topic, n, 30)
		for i := range list {
			list[i].Value = fmt.Appendf(nil, "%d", len(published)+i)
		}
		published = append(published, list...)
		publish(t, p, list...)
	}
	emit(500)
	first := consume(t, group, got.collect)
	emit(500)
	var shared atomic.Int32
	second := consume(t, group, func(ctx context.Context, part *kafka.Partition) error {
		shared.Add(1)
		return got.collect(ctx, part)
	})
	eventually(t, "the second member has partitions", func() bool { return shared.Load() > 0 })
	emit(500)
	got.wait(t, len(published))
	first.stop()
	emit(500)
	third := consume(t, group, got.collect)
	emit(500)
	second.stop()
	emit(500)
	got.wait(t, len(published))
	third.stop()
	wantInOrder(t, published, got.list())
}

// A member that was replaced commits late. The broker must refuse it.
func TestCommit_of_a_former_generation_changes_nothing(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 1)
	publish(t, newProducer(t, c), numbered(topic, 10, 1)...)
	group := kafka.Group{Name: unique("group"), Topics: []string{topic}}
	former := make(chan *kafka.Partition, 1)
	first := consume(t, group, func(ctx context.Context, part *kafka.Partition) error {
		if _, err := part.Fetch(ctx, 3); err != nil {
			return err
		}
		former <- part
		<-ctx.Done()
		return nil
	})
	stale := <-former
	first.stop()
	var got collector
	second := consume(t, group, got.collect)
	got.wait(t, 10)
	eventually(t, "the commit is written", func() bool { lag, err := c.Lag(testContext(t), group.Name, topic); return err == nil && lag == 0 })
	if err := stale.CommitNow(3); err == nil {
		t.Error("the commit of a member that has left was accepted")
	}
	second.stop() // brokers take a commit that names no generation when the group has no member
	if err := stale.CommitNow(3); err == nil {
		t.Error("the commit of a member that has left was accepted by a group without members")
	}
	if lag, err := c.Lag(testContext(t), group.Name, topic); lag != 0 || err != nil {
		t.Fatalf("lag %d, %v", lag, err)
	}
}

// A handler that does not let go of a revoked partition commits while another member
// has it, and again after its own member has come into a later generation.
func TestCommit_after_the_revocation_changes_nothing(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 1)
	publish(t, newProducer(t, c), numbered(topic, 10, 1)...)
	group := kafka.Group{Name: unique("group"), Topics: []string{topic}}
	parts, letGo := make(chan *kafka.Partition, 10), make(chan struct{})
	var calls atomic.Int32
	first := consume(t, group, func(ctx context.Context, part *kafka.Partition) error {
		parts <- part
		<-ctx.Done()
		if calls.Add(1) == 1 {
			<-letGo
			part.Commit(3)
		}
		return nil
	})
	release := sync.OnceFunc(func() { close(letGo) })
	t.Cleanup(release)
	stale := <-parts
	var got collector
	second := consume(t, group, got.collect)
	got.wait(t, 10)
	allCommitted := func() bool { lag, err := c.Lag(testContext(t), group.Name, topic); return err == nil && lag == 0 }
	eventually(t, "the second member's commit is written", allCommitted)
	release()
	second.stop()
	<-parts // the first member has it again, and has written what it wanted to before
	if !allCommitted() {
		t.Error("a commit of a former generation was accepted")
	}
	stale.Commit(3)
	first.stop()
	if !allCommitted() {
		t.Error("a commit of a former generation was written as one of a later generation")
	}
}

func TestFetch_sets_an_offset_that_is_out_of_range_back(t *testing.T) {
	t.Parallel()
	for _, start := range []kafka.Start{kafka.First, kafka.Last} {
		for _, wanted := range []int64{1000, 2} {
			t.Run(fmt.Sprint(start, wanted), func(t *testing.T) {
				t.Parallel()
				c := newClient(t)
				topic := newTopic(t, c, 1)
				p := newProducer(t, c)
				publish(t, p, numbered(topic, 10, 1)...)
				deleteBefore(t, topic, 5)
				read := make(chan int64, 1)
				ready := make(chan struct{})
				member := consume(t, kafka.Group{Name: unique("group"), Topics: []string{topic}, From: start}, func(ctx context.Context, part *kafka.Partition) error {
					part.SeekTo(wanted)
					close(ready)
					messages, err := part.Fetch(ctx, 1)
					if err == nil {
						read <- messages[0].Offset
					}
					return err
				})
				<-ready
				var offset int64
				select {
				case offset = <-read:
				case <-testContext(t).Done():
					t.Fatal("no message was fetched")
				}
				if offset != 5 { // also where the group is from Last: nobody says that it has read what is there
					t.Fatalf("fetched offset %d, not 5", offset)
				}
				member.stop()
			})
		}
	}
}

func TestConsume_returns_the_error_of_a_handler(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 3)
	broken := errors.New("broken")
	err := c.Consume(testContext(t), kafka.Group{Name: unique("group"), Topics: []string{topic}}, func(ctx context.Context, part *kafka.Partition) error {
		if part.Number() == 1 {
			return broken
		}
		<-ctx.Done() // is told to stop
		return ctx.Err()
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
}

func TestConsume_from_Last_misses_nothing_after_it_was_called(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 2)
	p := newProducer(t, c)
	publish(t, p, numbered(topic, 10, 5)...)
	group := kafka.Group{Name: unique("group"), Topics: []string{topic}, From: kafka.Last}
	assigned := make(chan struct{}, 2)
	idle := consume(t, group, func(ctx context.Context, part *kafka.Partition) error {
		assigned <- struct{}{}
		<-ctx.Done()
		return nil
	})
	<-assigned
	<-assigned
	late := numbered(topic, 7, 5)
	publish(t, p, late...)
	idle.stop() // fetched nothing and committed nothing itself
	var got collector
	consume(t, group, got.collect)
	got.wait(t, len(late))
	if all := got.list(); len(all) != len(late) {
		t.Fatalf("%d messages instead of %d", len(all), len(late))
	}
}
