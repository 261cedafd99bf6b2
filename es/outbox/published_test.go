package outbox_test

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

// published reads all that a topic has now, partition by partition.
func (w *world) published(topic string) [][]kafkago.Message {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 60*time.Second)
	defer cancel()
	heads, err := w.client.Heads(ctx, topic)
	if err != nil {
		w.Fatal(err)
	}
	out := make([][]kafkago.Message, len(heads))
	for partition, head := range heads {
		reader := kafkago.NewReader(kafkago.ReaderConfig{Brokers: w.brokers, Topic: topic, Partition: partition, MinBytes: 1, MaxBytes: 2 << 20, MaxWait: 500 * time.Millisecond})
		for offset := int64(0); offset < head; {
			m, err := reader.FetchMessage(ctx)
			if err != nil {
				w.Fatalf("read %s/%d at %d: %v", topic, partition, offset, err)
			}
			out[partition] = append(out[partition], m)
			offset = m.Offset + 1
		}
		if err := reader.Close(); err != nil {
			w.Fatal(err)
		}
	}
	return out
}

// verify compares a category's topic with the log: every event is there, the first
// occurrences of each key's events follow each other without a gap, in one partition.
// It returns how many messages are repeats.
func (w *world) verify(category string) (repeats int) {
	w.Helper()
	seen := map[string]es.Version{}
	at := map[string]int{}
	for partition, messages := range w.published(w.prefix + category) {
		for _, m := range messages {
			e := w.eventOf(m)
			id := e.Stream.ID
			if where, ok := at[id]; ok && where != partition {
				w.Fatalf("%s is in partitions %d and %d", id, where, partition)
			}
			at[id] = partition
			switch {
			case e.Version <= seen[id]:
				repeats++
			case e.Version == seen[id]+1:
				seen[id]++
			default:
				w.Fatalf("%s version %d comes after version %d", e.Stream, e.Version, seen[id])
			}
		}
	}
	again(w, func() (struct{}, error) { return struct{}{}, w.pool.Ping(w.Context()) })
	rows, err := w.pool.Query(w.Context(), `select stream_id, max(version) from asof.events where category = $1 group by 1`, category)
	if err != nil {
		w.Fatal(err)
	}
	var id string
	var version, total int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &version}, func() error {
		total += version
		if int64(seen[id]) != version {
			w.Errorf("%s/%s: version %d is in the log, %d in Kafka", category, id, version, seen[id])
		}
		return nil
	}); err != nil {
		w.Fatal(err)
	}
	w.Logf("%d events, %d messages repeated", total, repeats)
	return repeats
}

func (w *world) eventOf(m kafkago.Message) es.RecordedEvent {
	w.Helper()
	message := kafka.Message{Topic: strings.TrimPrefix(m.Topic, w.prefix), Key: m.Key, Value: m.Value, Time: m.Time}
	for _, h := range m.Headers {
		message.Headers = append(message.Headers, kafka.Header{Key: h.Key, Value: h.Value})
	}
	e, err := kafka.ToEvent(message)
	if err != nil {
		w.Fatal(err)
	}
	return e
}
