package kafka

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Attributes of a batch of records, and where its parts lie.
const (
	codecBits             = 0x07
	logAppendTime         = 0x08
	transactionalBit      = 0x10
	controlBit            = 0x20
	batchHead             = 12 // first offset and length
	batchMagic            = 16
	batchChecked          = 21 // what the checksum covers begins here
	smallestBatch         = 61
	markerAbort           = 0
	markerTypeAt          = 2
	markerKeyBytes        = 4
	currentMagic     byte = 2
)

var (
	errBroken = errors.New("a batch of records is broken")
	errOld    = errors.New("the messages are in the form from before Kafka 0.11, which is not read: copy the topic")
)

// fetched reads what a broker returns of a partition: batches, in each of which some
// offsets may be missing, among them markers of transactions and what was aborted.
type fetched struct {
	topic     string
	partition int
	from      int64                                                // messages before it were not asked for
	aborted   []kmsg.FetchResponseTopicPartitionAbortedTransaction // by first offset
	aborting  map[int64]bool                                       // producers within an aborted transaction

	messages []Message
	next     int64 // after all that was read, whether or not it is handed out
}

func newFetched(topic string, partition int, from int64, aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction) *fetched {
	aborted = slices.Clone(aborted)
	slices.SortFunc(aborted, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	return &fetched{topic: topic, partition: partition, from: from, next: from, aborted: aborted, aborting: make(map[int64]bool)}
}

// read takes batches in. The last may be cut off, which comes whole next time.
func (r *fetched) read(raw []byte) error {
	for len(raw) >= smallestBatch {
		if raw[batchMagic] != currentMagic {
			return errOld
		}
		size := batchHead + int(int32(binary.BigEndian.Uint32(raw[8:])))
		if size < smallestBatch {
			return fmt.Errorf("%w: it says that it has %d bytes", errBroken, size)
		}
		if size > len(raw) {
			return nil
		}
		if err := r.batch(raw[:size]); err != nil {
			return err
		}
		raw = raw[size:]
	}
	return nil
}

func (r *fetched) batch(raw []byte) error {
	var b kmsg.RecordBatch
	if err := b.ReadFrom(raw); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	if crc32.Checksum(raw[batchChecked:], castagnoli()) != uint32(b.CRC) {
		return fmt.Errorf("%w: the checksum of the one from offset %d does not fit", errBroken, b.FirstOffset)
	}
	last := b.FirstOffset + int64(b.LastOffsetDelta)
	for len(r.aborted) > 0 && r.aborted[0].FirstOffset <= last {
		r.aborting[r.aborted[0].ProducerID] = true
		r.aborted = r.aborted[1:]
	}
	var err error
	switch {
	case b.Attributes&controlBit != 0:
		err = r.marker(&b)
	case b.Attributes&transactionalBit != 0 && r.aborting[b.ProducerID], last < r.from:
	default:
		err = r.keep(&b)
	}
	if err == nil {
		r.next = max(r.next, last+1)
	}
	return err
}

// castagnoli is the polynomial of Kafka's checksums; the library keeps its table.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// marker takes note of the end of a transaction.
func (r *fetched) marker(b *kmsg.RecordBatch) error {
	return each(b, func(record *kmsg.Record) {
		if len(record.Key) >= markerKeyBytes && binary.BigEndian.Uint16(record.Key[markerTypeAt:]) == markerAbort {
			delete(r.aborting, b.ProducerID)
		}
	})
}

// keep takes a batch's messages.
func (r *fetched) keep(b *kmsg.RecordBatch) error {
	return each(b, func(record *kmsg.Record) {
		offset := b.FirstOffset + int64(record.OffsetDelta)
		if offset < r.from {
			return // a batch comes whole
		}
		at := b.FirstTimestamp + record.TimestampDelta64
		if b.Attributes&logAppendTime != 0 {
			at = b.MaxTimestamp
		}
		m := Message{Topic: r.topic, Partition: r.partition, Offset: offset, Key: record.Key, Value: record.Value, Time: time.UnixMilli(at)}
		if len(record.Headers) > 0 {
			m.Headers = make([]Header, len(record.Headers))
			for i, h := range record.Headers {
				m.Headers[i] = Header{Key: h.Key, Value: h.Value}
			}
		}
		r.messages = append(r.messages, m)
	})
}

// each calls do for the records of a batch.
func each(b *kmsg.RecordBatch, do func(*kmsg.Record)) error {
	raw := b.Records
	if codec := compress.Compression(b.Attributes & codecBits).Codec(); codec != nil {
		reader := codec.NewReader(bytes.NewReader(raw))
		var err error
		raw, err = io.ReadAll(reader)
		_ = reader.Close()
		if err != nil {
			return fmt.Errorf("%w: %s: %w", errBroken, codec.Name(), err)
		}
	}
	for range b.NumRecords {
		length, n := binary.Varint(raw)
		if n <= 0 || length < 0 || int64(len(raw)-n) < length {
			return fmt.Errorf("%w: the one from offset %d breaks off", errBroken, b.FirstOffset)
		}
		size := n + int(length)
		var record kmsg.Record
		if err := record.ReadFrom(raw[:size]); err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		do(&record)
		raw = raw[size:]
	}
	return nil
}
