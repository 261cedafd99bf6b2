package kafka_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asof-dev/asof/es/kafka"
)

// batch is a batch of records as a broker keeps it: deltas are the offsets that are
// left of it, of last+1.
func batch(first int64, last int32, change func(*kmsg.RecordBatch), deltas ...int32) []byte {
	b := kmsg.NewRecordBatch()
	b.FirstOffset, b.LastOffsetDelta, b.Magic, b.ProducerID = first, last, 2, -1
	b.FirstTimestamp, b.MaxTimestamp, b.NumRecords = 1000, 9000, int32(len(deltas))
	for _, delta := range deltas {
		r := kmsg.NewRecord()
		r.OffsetDelta, r.TimestampDelta64, r.Value = delta, int64(delta), fmt.Appendf(nil, "%d", first+int64(delta))
		if change != nil {
			change(&b)
		}
		if b.Attributes&0x20 != 0 {
			r.Key = []byte{0, 0, 0, byte(b.FirstSequence)} // of a marker: 0 aborts, 1 commits
		}
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		b.Records = r.AppendTo(b.Records)
	}
	b.Length = int32(49 + len(b.Records))
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

func transactional(producer int64) func(*kmsg.RecordBatch) {
	return func(b *kmsg.RecordBatch) { b.Attributes, b.ProducerID = 0x10, producer }
}

// marker ends a transaction: kind 0 aborts it and 1 commits it.
func marker(producer int64, kind int32) func(*kmsg.RecordBatch) {
	return func(b *kmsg.RecordBatch) { b.Attributes, b.ProducerID, b.FirstSequence = 0x30, producer, kind }
}

func abort(producer, first int64) kmsg.FetchResponseTopicPartitionAbortedTransaction {
	a := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
	a.ProducerID, a.FirstOffset = producer, first
	return a
}

func TestRecords_have_their_offsets_and_leave_holes_behind(t *testing.T) {
	t.Parallel()
	type aborted = []kmsg.FetchResponseTopicPartitionAbortedTransaction
	join := slices.Concat[[]byte]
	whole := batch(10, 2, nil, 0, 1, 2)
	for name, test := range map[string]struct {
		raw     []byte
		from    int64
		aborted aborted
		want    string
		next    int64
	}{
		"nothing":                      {nil, 5, nil, "", 5},
		"whole":                        {whole, 10, nil, "10 11 12", 13},
		"from within":                  {whole, 12, nil, "12", 13},
		"holes between and at the end": {batch(10, 9, nil, 1, 4), 10, nil, "11 14", 20},
		"nothing left in it":           {batch(10, 9, nil), 12, nil, "", 20},
		"nothing left that was asked":  {batch(10, 9, nil, 0), 12, nil, "", 20},
		"a hole before it":             {whole, 3, nil, "10 11 12", 13},
		"cut off":                      {join(whole, batch(13, 0, nil, 0)[:65]), 10, nil, "10 11 12", 13},
		"cut off in the head":          {join(whole, batch(13, 0, nil, 0)[:30]), 10, nil, "10 11 12", 13},
		"one before what was asked":    {join(whole, batch(13, 0, nil, 0)), 13, nil, "13", 14},
		"markers":                      {join(batch(1, 0, transactional(7), 0), batch(2, 0, marker(7, 1), 0)), 1, nil, "1", 3},
		"aborted":                      {join(batch(1, 1, transactional(7), 0, 1), batch(3, 0, marker(7, 0), 0)), 1, aborted{abort(7, 1)}, "", 4},
		"of another producer":          {join(batch(1, 0, transactional(7), 0), batch(2, 0, transactional(8), 0), batch(3, 0, marker(7, 0), 0), batch(4, 0, marker(8, 1), 0)), 1, aborted{abort(7, 1)}, "2", 5},
		"after the abort":              {join(batch(1, 0, transactional(7), 0), batch(2, 0, marker(7, 0), 0), batch(3, 0, transactional(7), 0), batch(4, 0, marker(7, 1), 0)), 1, aborted{abort(7, 1)}, "3", 5},
		"before the abort":             {join(batch(1, 0, transactional(7), 0), batch(2, 0, marker(7, 1), 0), batch(3, 0, transactional(7), 0), batch(4, 0, marker(7, 0), 0)), 1, aborted{abort(7, 3)}, "1", 5},
		"twice, in another order":      {join(batch(1, 0, transactional(7), 0), batch(2, 0, marker(7, 0), 0), batch(3, 0, nil, 0), batch(4, 0, transactional(7), 0), batch(5, 0, marker(7, 0), 0)), 1, aborted{abort(7, 4), abort(7, 1)}, "3", 6},
		"began before what was asked":  {join(batch(5, 0, transactional(7), 0), batch(6, 0, marker(7, 0), 0)), 5, aborted{abort(7, 1)}, "", 7},
		"plain ones of a producer":     {batch(1, 0, func(b *kmsg.RecordBatch) { b.ProducerID = 7 }, 0), 1, aborted{abort(7, 1)}, "1", 2},
	} {
		messages, next, err := kafka.ReadRecords(test.raw, test.from, test.aborted...)
		var values []string
		for _, m := range messages {
			if fmt.Sprint(m.Offset) != string(m.Value) || m.Topic != "topic" {
				t.Errorf("%s: %+v", name, m)
			}
			values = append(values, string(m.Value))
		}
		if got := strings.Join(values, " "); err != nil || got != test.want || next != test.next {
			t.Errorf("%s: %q, next %d, %v: want %q, next %d", name, got, next, err, test.want, test.next)
		}
	}
}

func TestRecords_have_the_time_that_the_topic_keeps(t *testing.T) {
	t.Parallel()
	for attributes, want := range map[int16]int64{0: 1002, 0x08: 9000} { // of the producer, of the broker
		messages, _, err := kafka.ReadRecords(batch(0, 2, func(b *kmsg.RecordBatch) { b.Attributes = attributes }, 2), 0)
		if err != nil || len(messages) != 1 || !messages[0].Time.Equal(time.UnixMilli(want)) {
			t.Errorf("%+v, %v", messages, err)
		}
	}
}

// What is damaged is not read as something else, and what came before it is.
func TestRecords_that_are_broken_are_refused(t *testing.T) {
	t.Parallel()
	whole := batch(10, 0, nil, 0)
	damage := func(at int, with byte) []byte {
		raw := batch(11, 0, nil, 0)
		raw[at] = with
		return raw
	}
	for name, second := range map[string][]byte{
		"checksum": damage(67, 'x'), "attributes": damage(22, 1), "old": damage(16, 1), "length": damage(8, 0xff), "no length": damage(11, 1),
	} {
		messages, next, err := kafka.ReadRecords(slices.Concat(whole, second), 10)
		if err == nil || len(messages) != 1 || next != 11 {
			t.Errorf("%s: %d messages, next %d, %v", name, len(messages), next, err)
		}
	}
}
