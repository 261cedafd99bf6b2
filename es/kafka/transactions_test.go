package kafka_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/asof-dev/asof/es/kafka"
)

// transact writes records in one transaction and ends it.
func transact(t *testing.T, client *kgo.Client, topic string, end kgo.TransactionEndTry, values ...string) {
	t.Helper()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for _, value := range values {
		client.Produce(testContext(t), &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(value)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := client.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := client.EndTransaction(testContext(t), end); err != nil {
		t.Fatal(err)
	}
}

// mixed fills a topic by transactions of two producers, some of them aborted, and by
// plain messages between and after them, and returns what was published in the end.
func mixed(t *testing.T, c *kafka.Client, topic string) []string {
	t.Helper()
	p := newProducer(t, c)
	one := franz(t, kgo.TransactionalID(unique("tx")), kgo.DefaultProduceTopic(topic))
	two := franz(t, kgo.TransactionalID(unique("tx")), kgo.DefaultProduceTopic(topic))
	var want []string
	for i := range 4 {
		name := fmt.Sprint(i)
		transact(t, one, topic, kgo.TryCommit, "a"+name, "b"+name)
		transact(t, two, topic, kgo.TryAbort, "aborted", "aborted")
		publish(t, p, kafka.Message{Topic: topic, Key: []byte("k"), Value: []byte("c" + name)})
		transact(t, one, topic, kgo.TryAbort, "aborted")
		transact(t, two, topic, kgo.TryCommit, "d"+name)
		want = append(want, "a"+name, "b"+name, "c"+name, "d"+name)
	}
	return want
}

func TestConsume_hands_out_neither_markers_nor_what_was_aborted(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 1)
	want := mixed(t, c, topic)
	group := kafka.Group{Name: unique("group"), Topics: []string{topic}}
	var got collector
	member := consume(t, group, got.collect)
	got.wait(t, len(want))
	done := func() bool {
		lag, err := c.Lag(testContext(t), group.Name, topic)
		return err == nil && lag == 0
	}
	eventuallySoon(t, "nothing counts as not committed, though the last offset is that of a marker", done)
	transact(t, franz(t, kgo.TransactionalID(unique("tx"))), topic, kgo.TryAbort, "aborted", "aborted")
	eventuallySoon(t, "what was aborted does not count either", done)
	member.stop()
	transact(t, franz(t, kgo.TransactionalID(unique("tx"))), topic, kgo.TryAbort, "aborted")
	member = consume(t, group, got.collect)
	eventuallySoon(t, "nor what was aborted while nobody read", done)
	member.stop()
	var values []string
	for _, m := range got.list() {
		values = append(values, string(m.Value))
	}
	if !slices.Equal(values, want) {
		t.Errorf("read %q\nwant %q", values, want)
	}
}

func TestSubscriber_hands_out_neither_markers_nor_what_was_aborted(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 1)
	want := mixed(t, c, topic)
	messages, err := newSubscriber(t, c, kafka.SubscriberConfig{Group: unique("group")}).Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range want {
		m := receive(t, messages)
		if string(m.Payload) != value {
			t.Fatalf("%q instead of %q", m.Payload, value)
		}
		m.Ack()
	}
}

// A reader may begin within a transaction that was aborted.
func TestFetch_from_within_an_aborted_transaction_leaves_its_rest_out(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 1)
	one := franz(t, kgo.TransactionalID(unique("tx")), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchMaxBytes(512))
	transact(t, one, topic, kgo.TryAbort, make([]string, 40)...)
	publish(t, newProducer(t, c), kafka.Message{Topic: topic, Value: []byte("after")})
	read := make(chan kafka.Message, 1)
	member := consume(t, kafka.Group{Name: unique("group"), Topics: []string{topic}}, func(ctx context.Context, part *kafka.Partition) error {
		part.SeekTo(20)
		messages, err := part.Fetch(ctx, 1)
		if err == nil {
			read <- messages[0]
		}
		return err
	})
	if m := <-read; string(m.Value) != "after" {
		t.Errorf("read %q at %d", m.Value, m.Offset)
	}
	member.stop()
}

// What is not committed yet is not read: it may be aborted.
func TestFetch_waits_for_the_end_of_a_transaction(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 1)
	one := franz(t, kgo.TransactionalID(unique("tx")), kgo.DefaultProduceTopic(topic))
	if err := one.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := one.ProduceSync(testContext(t), &kgo.Record{Value: []byte("open")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	publish(t, newProducer(t, c), kafka.Message{Topic: topic, Value: []byte("behind")})
	var got collector
	ready := make(chan struct{})
	member := consume(t, kafka.Group{Name: unique("group"), Topics: []string{topic}}, func(ctx context.Context, part *kafka.Partition) error {
		close(ready)
		return got.collect(ctx, part)
	})
	<-ready
	if err := one.EndTransaction(testContext(t), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	got.wait(t, 1)
	member.stop()
	if list := got.list(); len(list) != 1 || string(list[0].Value) != "behind" {
		t.Errorf("%d messages, the first %q", len(list), list[0].Value)
	}
}
