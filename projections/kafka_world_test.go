package projections_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

const (
	eventSource = "/accounts"
	partitions  = 4
	never       = time.Hour // between two looks at the log
	often       = 100 * time.Millisecond
)

// cluster is a world with a topic of its own, into which the test publishes by hand.
type cluster struct {
	*world   // its pool is that of the read models
	target   *pgstore.Store
	apart    bool // the log lies in another database
	client   *kafka.Client
	brokers  []string
	producer *kafka.Producer
	sent     int64     // messages
	life     uuid.UUID // that the messages say, if any
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	return newClusterOn(t, newWorld(t), nil)
}

// newClusterApart is a cluster whose log lies in another database than the read models.
func newClusterApart(t testing.TB) *cluster {
	t.Helper()
	return newClusterOn(t, newWorld(t), pgstoretest.New(t))
}

// newClusterOn has the read models in a world, and its log there, or apart.
func newClusterOn(t testing.TB, w *world, log *pgstore.Store) *cluster {
	t.Helper()
	c := &cluster{world: w, target: w.store, brokers: embeddedtest.Brokers(t)}
	if log != nil {
		c.store, c.apart = log, true
	}
	c.category = "account-" + uuid.NewString()
	c.client = newClient(t, c.brokers...)
	c.makeTopic()
	c.producer = c.client.NewProducer()
	t.Cleanup(func() {
		if err := c.producer.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func newClient(t testing.TB, brokers ...string) *kafka.Client {
	t.Helper()
	client, err := kafka.New(kafka.Config{Brokers: brokers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

func (c *cluster) makeTopic() {
	c.Helper()
	if err := c.client.EnsureTopics(within(c, 20*time.Second), kafka.Topic{Name: c.category, Partitions: partitions}); err != nil {
		c.Fatal(err)
	}
}

// deleteTopic returns when the brokers do not know the topic any more.
func (c *cluster) deleteTopic() {
	c.Helper()
	ctx := within(c, 20*time.Second)
	admin := &kafkago.Client{Addr: kafkago.TCP(c.brokers...)}
	if _, err := admin.DeleteTopics(ctx, &kafkago.DeleteTopicsRequest{Topics: []string{c.category}}); err != nil {
		c.Fatal(err)
	}
	until(c, "the topic is gone", func() bool {
		_, err := c.client.Heads(ctx, c.category)
		return err != nil
	})
}

// balances and totals of the topic's category.
func (c *cluster) balances() projections.Fold[Balance, Event] {
	def := balances()
	def.Categories, def.Order = []string{c.category}, projections.OneStream
	return def
}

func (c *cluster) totals() projections.Fold[Total, Event] {
	def := totals()
	def.Categories, def.Order = []string{c.category}, projections.Commuting
	return def
}

// projector reads the topic, and the log only where the topic has gaps.
func (c *cluster) projector(def projections.Definition, options ...projections.KafkaOption) *projections.Projector {
	options = append([]projections.KafkaOption{projections.WithLogCheck(never)}, options...)
	return c.new(def, projections.FromKafka(c.client, options...))
}

// new is a projector of the cluster, which follows the log unless an option says otherwise.
func (c *cluster) new(def projections.Definition, options ...projections.Option) *projections.Projector {
	return c.newOn(c.target, def, options...)
}

// newOn is new by another way to the database of the read models.
func (c *cluster) newOn(target projections.Target, def projections.Definition, options ...projections.Option) *projections.Projector {
	if c.apart {
		target = projections.In(target.Pool(), "asof")
		options = append([]projections.Option{projections.FromLog(c.store)}, options...)
	}
	return projections.New(target, def, options...)
}

// besideAndApart runs a test with the log in the database of the read models, and in another.
func besideAndApart(t *testing.T, test func(t *testing.T, c *cluster)) {
	t.Helper()
	t.Parallel()
	for name, make := range map[string]func(testing.TB) *cluster{"beside the log": newCluster, "apart from it": newClusterApart} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, make(t))
		})
	}
}

// publish sends events as they are given, as the relay would.
func (c *cluster) publish(events ...es.RecordedEvent) {
	c.Helper()
	messages := make([]kafka.Message, len(events))
	for i, e := range events {
		messages[i] = c.message(e)
	}
	c.send(messages...)
}

// message is an event as the relay sends it.
func (c *cluster) message(e es.RecordedEvent) kafka.Message {
	m := kafka.FromEvent(eventSource, c.category, e)
	if c.life != uuid.Nil {
		m.Headers = append(m.Headers, kafka.LifeHeader(c.life))
	}
	return m
}

func (c *cluster) send(messages ...kafka.Message) {
	c.Helper()
	if len(messages) == 0 {
		return
	}
	if err := c.producer.Publish(within(c, 30*time.Second), messages...); err != nil {
		c.Fatal(err)
	}
	c.sent += int64(len(messages))
}

// untilReading waits until the live build reads every partition of the topic, and follows the
// log no more.
func (c *cluster) untilReading(p *projections.Projector) {
	c.Helper()
	until(c, "the topic is read", func() bool { return c.offsets(p) >= 0 && c.members(p) > 0 })
}

// offsets is the sum of a live build's offsets; negative until all partitions have one.
func (c *cluster) offsets(p *projections.Projector) int64 {
	c.Helper()
	return c.number(`
		select coalesce(sum(next_offset) filter (where (select count(*) from asof.offsets p where p.build = b.id) >= $2), -1)
		from asof.builds b left join asof.offsets p on p.build = b.id
		where b.name = $1 and b.status = 'live'`, p.Name(), partitions)
}

// untilRead waits until all that was sent is read.
func (c *cluster) untilRead(p *projections.Projector) {
	c.Helper()
	until(c, "all messages are read", func() bool { return c.offsets(p) >= c.sent })
}

// relay publishes the log as it grows until stopped; then all of it is published.
// The mangled events are sent in place of a page.
func (c *cluster) relay(mangle func([]es.RecordedEvent) []es.RecordedEvent) (stop func()) {
	c.Helper()
	ctx, cancel := context.WithCancel(c.Context())
	ended := make(chan error, 1)
	go func() {
		for after := es.Position(0); ; {
			last := ctx.Err() != nil
			page, err := c.store.Read(context.WithoutCancel(ctx), after, 100)
			if err != nil {
				ended <- err
				return
			}
			if len(page) == 0 {
				if last {
					ended <- nil
					return
				}
				select {
				case <-ctx.Done():
				case <-time.After(5 * time.Millisecond):
				}
				continue
			}
			after = page[len(page)-1].Position
			var messages []kafka.Message
			for _, e := range mangle(page) {
				messages = append(messages, c.message(e))
			}
			if err := c.producer.Publish(context.WithoutCancel(ctx), messages...); err != nil {
				ended <- err
				return
			}
			c.sent += int64(len(messages))
		}
	}()
	stopped := false
	stop = func() {
		c.Helper()
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			c.Fatal(err)
		}
	}
	c.Cleanup(func() { cancel() })
	return stop
}

func asIs(page []es.RecordedEvent) []es.RecordedEvent { return page }

func (c *cluster) status(p *projections.Projector) projections.Status {
	c.Helper()
	s, err := p.Status(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	return s
}

func (c *cluster) source(p *projections.Projector) string { return c.status(p).Source }

func readsKafka(source string) bool { return strings.HasPrefix(source, "kafka topic ") }

// deleteBefore removes the first messages of a partition, as retention does.
func (c *cluster) deleteBefore(number int, offset int64) {
	c.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.brokers...))
	if err != nil {
		c.Fatal(err)
	}
	defer client.Close()
	part := kmsg.NewDeleteRecordsRequestTopicPartition()
	part.Partition, part.Offset = int32(number), offset //nolint:gosec // there are few
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic, topic.Partitions = c.category, append(topic.Partitions, part)
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.Topics, request.TimeoutMillis = append(request.Topics, topic), 5000
	until(c, "messages are deleted", func() bool {
		for _, shard := range client.RequestSharded(c.Context(), request) {
			if shard.Err != nil || shard.Resp.(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0].ErrorCode != 0 {
				return false
			}
		}
		return true
	})
}
