package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asof-dev/asof/es/kafka"
)

// gate is brokers that do not write to a partition while it is shut, and never what is
// invalid.
type gate struct {
	topic string
	shut  atomic.Int64  // partition; below zero: none
	tried chan struct{} // somebody stands before it
}

func newGate(t *testing.T, partitions int) (*gate, *kafka.Client) {
	t.Helper()
	cluster := newCluster(t, kfake.NumBrokers(1))
	g := &gate{tried: make(chan struct{}, 1)}
	g.shut.Store(-1)
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := r.(*kmsg.ProduceRequest).Topics[0].Partitions[0] // its key was asked for
		switch {
		case int64(asked.Partition) == g.shut.Load():
			select {
			case g.tried <- struct{}{}:
			default:
			}
			return answerProduce(r, kerr.NotEnoughReplicas.Code), nil, true
		case bytes.Contains(asked.Records, []byte("invalid")):
			return answerProduce(r, kerr.InvalidRecord.Code), nil, true
		}
		return nil, nil, false
	})
	c := clientOf(t, cluster)
	g.topic = newTopic(t, c, partitions)
	return g, c
}

func answerProduce(r kmsg.Request, code int16) kmsg.Response {
	answer := r.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range r.(*kmsg.ProduceRequest).Topics {
		one := kmsg.NewProduceResponseTopic()
		one.Topic, one.TopicID = topic.Topic, topic.TopicID
		for _, p := range topic.Partitions {
			partition := kmsg.NewProduceResponseTopicPartition()
			partition.Partition, partition.ErrorCode = p.Partition, code
			one.Partitions = append(one.Partitions, partition)
		}
		answer.Topics = append(answer.Topics, one)
	}
	return answer
}

// to is a message for a partition.
func (g *gate) to(t *testing.T, c *kafka.Client, partition int, value string) kafka.Message {
	t.Helper()
	n, err := c.Partitions(testContext(t), g.topic)
	if err != nil {
		t.Fatal(err)
	}
	for k := range 1000 {
		key := fmt.Appendf(nil, "k%d", k)
		if kafka.KeyPartition(key, n) == partition {
			return kafka.Message{Topic: g.topic, Key: key, Value: []byte(value)}
		}
	}
	t.Fatalf("no key comes to partition %d", partition)
	return kafka.Message{}
}

func send(t *testing.T, f *kafka.Flow, messages ...kafka.Message) (acknowledged func() error) {
	t.Helper()
	acknowledged, err := f.Send(messages...)
	if err != nil {
		t.Fatal(err)
	}
	return acknowledged
}

func (g *gate) wantHeads(t *testing.T, c *kafka.Client, want ...int64) {
	t.Helper()
	heads, err := c.Heads(testContext(t), g.topic)
	if err != nil {
		t.Fatal(err)
	}
	for partition, n := range want {
		if heads[partition] != n {
			t.Errorf("partition %d has %d messages, want %d", partition, heads[partition], n)
		}
	}
}

// written is all that the topic has, partition by partition.
func (g *gate) written(t *testing.T, c *kafka.Client) (all []kafka.Message) {
	t.Helper()
	heads, err := c.Heads(testContext(t), g.topic)
	if err != nil {
		t.Fatal(err)
	}
	for partition, head := range heads {
		err := c.Range(testContext(t), g.topic, partition, 0, head, func(list []kafka.Message) error { all = append(all, list...); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// A partition that is slow holds up neither what comes after it nor the caller.
func TestFlow_goes_on_while_a_partition_is_slow(t *testing.T) {
	t.Parallel()
	g, c := newGate(t, 2)
	g.shut.Store(0)
	f := newProducer(t, c).NewFlow(testContext(t))
	first := send(t, f, g.to(t, c, 0, "1"), g.to(t, c, 1, "1"))
	second := send(t, f, g.to(t, c, 1, "2"))
	if err := second(); err != nil {
		t.Fatal(err)
	}
	third := send(t, f, g.to(t, c, 0, "3"))
	g.wantHeads(t, c, 0, 2)
	g.shut.Store(-1)
	if err := errors.Join(first(), third()); err != nil {
		t.Fatal(err)
	}
	wantInOrder(t, []kafka.Message{g.to(t, c, 0, "1"), g.to(t, c, 1, "1"), g.to(t, c, 1, "2"), g.to(t, c, 0, "3")}, g.written(t, c))
}

// What comes after a message that cannot be published is not sent, whichever call it is of,
// whether it waits in the same request or comes later. What came before is.
func TestFlow_sends_nothing_after_a_message_that_cannot_be_published(t *testing.T) {
	t.Parallel()
	g, c := newGate(t, 2)
	g.shut.Store(0)
	f := newProducer(t, c).NewFlow(testContext(t))
	stands := send(t, f, g.to(t, c, 0, "0")) // so that the others come together, in one request
	next(t, "it is tried", g.tried)
	before := send(t, f, g.to(t, c, 0, "1"), g.to(t, c, 0, "2"))
	refused := send(t, f, g.to(t, c, 0, "3"), g.to(t, c, 0, "invalid"), g.to(t, c, 0, "4"))
	after := send(t, f, g.to(t, c, 0, "5"))
	elsewhere := send(t, f, g.to(t, c, 1, "5"))
	if err := elsewhere(); err != nil { // it was before anybody knew
		t.Fatal(err)
	}
	g.shut.Store(-1)
	if err := errors.Join(stands(), before()); err != nil {
		t.Fatal(err)
	}
	if err := refused(); !errors.Is(err, kafka.ErrInvalid) || errors.Is(err, kafka.ErrBehind) {
		t.Errorf("the call that is refused: %v", err)
	}
	if err := after(); !errors.Is(err, kafka.ErrBehind) || !errors.Is(err, kafka.ErrInvalid) {
		t.Errorf("the call after it: %v", err)
	}
	if _, err := f.Send(g.to(t, c, 1, "6")); !errors.Is(err, kafka.ErrBehind) {
		t.Errorf("a call that came later: %v", err)
	}
	g.wantHeads(t, c, 4, 1)
}

// A message that is refused ends what comes after it in other partitions too, and nothing
// that was given before it: that is published in the end.
func TestFlow_publishes_what_was_given_before_a_message_that_cannot_be(t *testing.T) {
	t.Parallel()
	g, c := newGate(t, 2)
	g.shut.Store(0)
	f := newProducer(t, c).NewFlow(testContext(t))
	before := send(t, f, g.to(t, c, 0, "1"))
	next(t, "it is tried", g.tried)
	refused := send(t, f, g.to(t, c, 1, "invalid"), g.to(t, c, 0, "2"))
	if err := refused(); !errors.Is(err, kafka.ErrInvalid) {
		t.Fatal(err)
	}
	if _, err := f.Send(g.to(t, c, 0, "3")); !errors.Is(err, kafka.ErrBehind) {
		t.Errorf("a call that came later: %v", err)
	}
	g.shut.Store(-1)
	if err := before(); err != nil {
		t.Fatal(err)
	}
	g.wantHeads(t, c, 1, 0)
}

// Calls that wait behind others end at once when those fail, in any number, and their caller
// may wait for them in any order.
func TestFlow_ends_all_that_waits_behind_a_failure(t *testing.T) {
	t.Parallel()
	g, c := newGate(t, 1)
	g.shut.Store(0)
	f := newProducer(t, c).NewFlow(testContext(t))
	first := send(t, f, g.to(t, c, 0, "invalid"))
	const calls = 50
	ended := make(chan error, calls)
	var waiting sync.WaitGroup
	for n := range calls {
		acknowledged := send(t, f, g.to(t, c, 0, fmt.Sprint(n)))
		waiting.Go(func() { ended <- acknowledged() })
	}
	g.shut.Store(-1)
	waiting.Wait()
	close(ended)
	for err := range ended {
		if !errors.Is(err, kafka.ErrBehind) {
			t.Error(err)
		}
	}
	if err := first(); !errors.Is(err, kafka.ErrInvalid) {
		t.Error(err)
	}
	g.wantHeads(t, c, 0)
}

// What is not acknowledged when its time is over is given up, and no more is taken.
func TestFlow_ends_with_its_context(t *testing.T) {
	t.Parallel()
	g, c := newGate(t, 1)
	g.shut.Store(0)
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	f := newProducer(t, c).NewFlow(ctx)
	first := send(t, f, g.to(t, c, 0, "1"))
	second := send(t, f, g.to(t, c, 0, "2"))
	next(t, "it is tried", g.tried)
	cancel()
	var failed *kafka.PublishError
	for _, acknowledged := range []func() error{second, first} {
		if err := acknowledged(); !errors.As(err, &failed) || len(failed.Errors) != 1 {
			t.Errorf("%v", err)
		}
	}
	g.shut.Store(-1)
	publish(t, newProducer(t, c), g.to(t, c, 0, "3"))
	g.wantHeads(t, c, 1)
}

func TestFlow_takes_nothing_of_a_producer_that_is_closed(t *testing.T) {
	t.Parallel()
	g, c := newGate(t, 1)
	p := newProducer(t, c)
	f := p.NewFlow(testContext(t))
	acknowledged := send(t, f, g.to(t, c, 0, "1"))
	if err := errors.Join(p.Close(), acknowledged()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Send(g.to(t, c, 0, "2")); !errors.Is(err, kafka.ErrClosed) {
		t.Errorf("%v", err)
	}
	if acknowledged, err := f.Send(); err != nil || acknowledged() != nil {
		t.Errorf("nothing: %v", err)
	}
}
