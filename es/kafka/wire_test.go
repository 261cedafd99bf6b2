package kafka_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

// A client of another make reads what CloudEvents says, from the partition where a
// Java client would look for the key.
func TestFromEvent_is_read_by_another_client(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 5)
	e := es.RecordedEvent{
		Recorded: es.Recorded{
			ID: es.NewID(), Type: "account.opened", Schema: 2, Stream: es.StreamID{Category: topic, ID: "a-17"}, Version: 3, Position: 1 << 40,
			RecordedAt: time.Date(2026, 11, 24, 12, 30, 0, 123456000, time.UTC),
			Metadata: es.Metadata{
				CorrelationID: "c-1", CausationID: "m-1", Extra: map[string]string{"tenant": "blue"},
				TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", TraceState: "a=b",
			},
		},
		ContentType: es.JSONContentType, Data: []byte(`{"owner":"ann"}`),
	}
	publish(t, newProducer(t, c), kafka.FromEvent("/accounts", topic, e))

	other := franz(t, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	fetches := other.PollFetches(testContext(t))
	if err := fetches.Err(); err != nil {
		t.Fatal(err)
	}
	records := fetches.Records()
	if len(records) != 1 {
		t.Fatalf("%d records", len(records))
	}
	r := records[0]
	if string(r.Key) != "a-17" || string(r.Value) != `{"owner":"ann"}` {
		t.Fatalf("key %s, value %s", r.Key, r.Value)
	}
	java := kgo.StickyKeyPartitioner(nil).ForTopic(topic).Partition(&kgo.Record{Key: r.Key}, 5)
	if int(r.Partition) != java {
		t.Errorf("partition %d, a Java client looks in %d", r.Partition, java)
	}
	want := map[string]string{
		"ce_specversion": "1.0", "ce_id": e.ID.String(), "ce_source": "/accounts", "ce_type": "account.opened", "ce_category": topic, "ce_subject": "a-17",
		"ce_time": "2026-11-24T12:30:00.123456Z", "content-type": "application/json",
		"ce_version": "3", "ce_position": "1099511627776", "ce_schema": "2", "ce_correlationid": "c-1", "ce_causationid": "m-1", "ce_tenant": "blue",
		"traceparent": e.Metadata.TraceParent, "tracestate": "a=b",
		"ce_traceparent": e.Metadata.TraceParent, "ce_tracestate": "a=b",
	}
	for _, h := range r.Headers {
		if want[h.Key] != string(h.Value) {
			t.Errorf("header %s: %q instead of %q", h.Key, h.Value, want[h.Key])
		}
		delete(want, h.Key)
	}
	if len(want) > 0 {
		t.Errorf("no headers %v", want)
	}
}

// What Asof reads need not be written by Asof.
func TestConsume_reads_what_another_client_wrote(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 1)
	for _, compression := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		other := franz(t, kgo.ProducerBatchCompression(compression))
		var list []*kgo.Record
		for range 50 {
			list = append(list, &kgo.Record{Topic: topic, Value: make([]byte, 500), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}})
		}
		if err := other.ProduceSync(testContext(t), list...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for i, m := range readAll(t, topic) {
		if m.Offset != int64(i) || len(m.Value) != 500 || len(m.Headers) != 1 {
			t.Fatalf("message %d: %+v", i, m)
		}
		if _, err := kafka.ToEvent(m); err == nil {
			t.Fatal("it was taken for an event")
		}
	}
}
