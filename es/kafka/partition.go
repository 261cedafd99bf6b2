package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

const (
	// fetchWait is how long a broker holds back the answer when there is nothing new.
	fetchWait = 500 * time.Millisecond
	// fetchSilence is how long a broker may be silent, more than fetchWait.
	fetchSilence = 2500 * time.Millisecond
	// fetchBytes bounds what is held for a partition; a larger message comes whole.
	fetchBytes = 1 << 20
)

// Partition is a partition that is assigned to this member of a group. It belongs
// to the handler that got it; only Commit may be called from other goroutines.
type Partition struct {
	client    *Client
	topic     string
	number    int
	from      Start
	committed int64 // negative: none
	next      int64 // to be fetched; negative: the first that is kept
	commits   *commits
	conn      *kafkago.Conn
	buffer    []Message // fetched and not yet handed out
	seen      failures
}

// Topic returns the partition's topic.
func (p *Partition) Topic() string { return p.topic }

// Number returns the partition's number in its topic, from 0.
func (p *Partition) Number() int { return p.number }

// Committed returns the group's commit, the offset of the next message to handle,
// as it was when the partition was assigned.
func (p *Partition) Committed() (int64, bool) { return p.committed, p.committed >= 0 }

// SeekTo sets the offset of the next message to fetch, which is otherwise the group's
// commit. An offset that the topic does not have (any more) is set back: to the
// oldest message that is kept, or, where that is lower and the group is from Last, to
// the end.
func (p *Partition) SeekTo(offset int64) {
	p.next, p.buffer = offset, nil
}

// Commit notes for the group that all messages before the offset next are done. It
// is written within 200 ms, or when the partition is revoked; a commit after the
// revocation counts no more, so that another member may see the messages again.
func (p *Partition) Commit(next int64) { p.commits.set(p.topic, p.number, next) }

// Fetch returns the next messages, at least one and at most limit: it blocks until
// there is one, or ctx ends. Failures of the brokers are tried again. It returns the
// cause of ctx's end, [ErrDenied], and [ErrClosed] when the client was closed.
func (p *Partition) Fetch(ctx context.Context, limit int) ([]Message, error) {
	var wait backoff
	for len(p.buffer) == 0 {
		if err := p.client.open(); err != nil {
			return nil, err
		}
		err := ctx.Err()
		if err == nil {
			err = p.fill(ctx)
		}
		switch {
		case ctx.Err() != nil:
			p.close()
			return nil, context.Cause(ctx)
		case err == nil:
			wait = backoff{}
		case errors.Is(err, kafkago.OffsetOutOfRange):
			err = p.reset(ctx)
		case denied(err):
			return nil, p.client.explain(ctx, p.what(), err)
		}
		if err != nil {
			p.close()
			p.seen.warn(p.client.log, err, "kafka: cannot fetch, trying again", "topic", p.topic, "partition", p.number)
			_ = wait.pause(ctx)
		}
	}
	n := min(len(p.buffer), max(1, limit))
	messages := p.buffer[:n:n]
	p.buffer = p.buffer[n:]
	return messages, nil
}

func (p *Partition) what() string { return fmt.Sprintf("fetch %s partition %d", p.topic, p.number) }

func (p *Partition) close() {
	if p.conn != nil {
		_ = p.conn.Close()
		p.conn = nil
	}
}

// fill asks the leader once.
func (p *Partition) fill(ctx context.Context) error {
	if err := p.connect(ctx); err != nil {
		return err
	}
	conn := p.conn
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(2 * fetchSilence)); err != nil {
		return err
	}
	if p.next < 0 {
		first, err := conn.ReadFirstOffset()
		if err != nil {
			return err
		}
		p.next = first
	}
	if _, err := conn.Seek(p.next, kafkago.SeekAbsolute|kafkago.SeekDontCheck); err != nil {
		return err
	}
	return p.read(conn.ReadBatchWith(kafkago.ReadBatchConfig{MinBytes: 1, MaxBytes: fetchBytes, MaxWait: fetchWait}))
}

// read takes over a batch whole: a broker should not wait for handlers. Of a batch
// that breaks off, what came is kept.
func (p *Partition) read(batch *kafkago.Batch) error {
	for {
		m, err := batch.ReadMessage()
		if err != nil {
			if errors.Is(err, io.EOF) {
				p.next = max(p.next, batch.Offset()) // past what compaction has removed
			}
			break
		}
		p.next = m.Offset + 1
		p.buffer = append(p.buffer, fetched(m))
	}
	err := batch.Close()
	if err == nil {
		return nil
	}
	p.close() // kafka-go leaves a part of an answer with an error unread
	if len(p.buffer) > 0 || errors.Is(err, kafkago.RequestTimedOut) {
		return nil
	}
	return err
}

func fetched(m kafkago.Message) Message {
	message := Message{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Key: m.Key, Value: m.Value, Time: m.Time}
	if len(m.Headers) > 0 {
		message.Headers = make([]Header, len(m.Headers))
		for i, h := range m.Headers {
			message.Headers[i] = Header(h)
		}
	}
	return message
}

func (p *Partition) connect(ctx context.Context) error {
	if p.conn != nil {
		return nil
	}
	leader, err := p.client.leader(ctx, p.topic, p.number)
	if err != nil {
		return err
	}
	p.conn, err = p.client.conns(fetchSilence).DialPartition(ctx, "tcp", "", kafkago.Partition{Topic: p.topic, ID: p.number, Leader: leader})
	return err
}

// reset moves an offset that the partition does not have into what it has: messages
// were deleted, or the topic was made anew.
func (p *Partition) reset(ctx context.Context) error {
	if err := p.connect(ctx); err != nil {
		return err
	}
	if err := p.conn.SetDeadline(time.Now().Add(fetchSilence)); err != nil {
		return err
	}
	first, last, err := p.conn.ReadOffsets()
	if err != nil {
		return err
	}
	wanted := p.next
	switch {
	case first <= wanted && wanted <= last: // a new leader has caught up meanwhile
		return nil
	case wanted > last && p.from == Last:
		p.next = last
	default:
		p.next = first
	}
	p.client.log.Warn("kafka: the offset is out of range and was set back", "topic", p.topic, "partition", p.number,
		"wanted", wanted, "first", first, "last", last, "now", p.next)
	return nil
}
