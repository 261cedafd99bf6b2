package outbox_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
)

func topicOf(w *world, category string) kafka.Topic {
	return kafka.Topic{Name: w.prefix + category, Partitions: 3}
}

// With a prefix Kafka takes the topics of all categories, or the prefix is refused.
func TestPrefix_with_which_Kafka_would_not_take_each_category_is_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for prefix, text := range map[string]string{
		"a b": "the character ' '", "ä": "the character 'ä'", "a/": "the character '/'", "a\x00": `the character '\x00'`, "a\n": `the character '\n'`, "\xff": "the character",
		"_": "for itself", "__": "for itself", "__consumer_offsets": "for itself", ".": "for itself", "..": "for itself", "._": "for itself", "_.shop": "for itself",
		strings.Repeat("a", 122): "give at most 121", strings.Repeat("a", 249): "give at most 121", strings.Repeat("a", 1000): "give at most 121",
	} {
		err := w.runs(w.relay(outbox.WithTopicPrefix(prefix)))
		if !errors.Is(err, outbox.ErrInvalid) || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "check that") {
			t.Errorf("prefix %.20q: %v", prefix, err)
		}
	}
}

func TestLongest_category_fits_behind_the_longest_prefix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.prefix += strings.Repeat("p", 121-len(w.prefix))
	longest := strings.Repeat("c", es.MaxCategory)
	categories := []string{longest, "_x", "-", ".x-", "A.b_C-9"}
	for _, category := range categories {
		w.append(category, "1", 2)
	}
	start(t, w.relay())
	w.wait()
	for _, category := range categories {
		w.verify(category)
	}
}

// Without a prefix, too, the store takes no category that Kafka does not take.
func TestCategory_that_Kafka_keeps_for_itself_is_refused_by_append(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, category := range []string{"__consumer_offsets", "._consumer_offsets", "_.consumer_offsets", "..consumer.offsets", "._transaction.state", "__x", ".", ".."} {
		_, err := w.store.Append(t.Context(), es.StreamID{Category: category, ID: "1"}, es.Any, some(1)...)
		if !errors.Is(err, es.ErrInvalid) {
			t.Errorf("category %q: %v", category, err)
		}
	}
}

// Another store, or another program, has a topic that the brokers do not tell apart
// from one of ours.
func TestTopic_that_collides_on_the_broker_ends_the_relay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("order_item", "1", 1)
	if err := w.client.EnsureTopics(t.Context(), topicOf(w, "order.item")); err != nil {
		t.Fatal(err)
	}
	err := w.refused(true, w.store)
	if !errors.Is(err, kafka.ErrInvalid) || !strings.Contains(err.Error(), w.prefix+"order.item") || !strings.Contains(err.Error(), w.prefix+"order_item") ||
		strings.Contains(err.Error(), "check that") {
		t.Fatal(err)
	}
	if s := w.status(); !strings.Contains(s.Failure, w.prefix+"order.item") || s.Position != 0 || s.Leader != "" {
		t.Error(s)
	}
}

// What an ACL refuses no patience cures, whichever request it is.
func TestRelay_without_the_ACL_ends(t *testing.T) {
	t.Parallel()
	refuse := map[string]func(*kfake.Cluster){
		"to create the topic": func(c *kfake.Cluster) {
			c.ControlKey(int16(kmsg.CreateTopics), func(r kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				answer := r.ResponseKind().(*kmsg.CreateTopicsResponse)
				for _, topic := range r.(*kmsg.CreateTopicsRequest).Topics {
					one := kmsg.NewCreateTopicsResponseTopic()
					one.Topic, one.ErrorCode = topic.Topic, kerr.TopicAuthorizationFailed.Code
					answer.Topics = append(answer.Topics, one)
				}
				return answer, nil, true
			})
		},
		"to write": func(c *kfake.Cluster) {
			c.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				return refuseToWrite(r, kerr.TopicAuthorizationFailed.Code), nil, true
			})
		},
	}
	for what, how := range refuse {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			how(cluster)
			w := newWorldAt(t, embeddedtest.Database(t), cluster.ListenAddrs())
			w.append("order", "1", 1)
			err = w.refused(true, w.store)
			if !errors.Is(err, kafka.ErrDenied) || !strings.Contains(err.Error(), "ACL") || !strings.Contains(err.Error(), w.prefix+"order") || strings.Contains(err.Error(), "check that") {
				t.Fatal(err)
			}
			if s := w.status(); !strings.Contains(s.Failure, "ACL") || s.Position != 0 {
				t.Error(s)
			}
		})
	}
}

// The client is closed under the relay while Kafka takes nothing.
func TestRelay_whose_client_is_closed_ends(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w := newWorldAt(t, embeddedtest.Database(t), cluster.ListenAddrs())
	w.append("order", "1", 1)
	asked := make(chan struct{})
	var once sync.Once
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		once.Do(func() { close(asked) })
		return refuseToWrite(r, kerr.NotEnoughReplicas.Code), nil, true
	})
	done := w.run(w.relay())
	w.signal("a page under way", asked)
	w.must(w.client.Close())
	if err := w.ends(done); !errors.Is(err, kafka.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func refuseToWrite(r kmsg.Request, code int16) kmsg.Response {
	answer := r.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range r.(*kmsg.ProduceRequest).Topics {
		one := kmsg.NewProduceResponseTopic()
		one.Topic, one.TopicID = topic.Topic, topic.TopicID
		for _, p := range topic.Partitions {
			part := kmsg.NewProduceResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, code
			one.Partitions = append(one.Partitions, part)
		}
		answer.Topics = append(answer.Topics, one)
	}
	return answer
}
