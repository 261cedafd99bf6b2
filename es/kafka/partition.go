package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// fetchWait is how long a broker holds back the answer when there is nothing new.
	fetchWait = 500 * time.Millisecond
	// fetchSilence is how long a broker may be silent, more than fetchWait.
	fetchSilence = 2500 * time.Millisecond
	// fetchByID is the first version of the request that names the topic by its id.
	fetchByID     = 13
	readCommitted = 1 // the isolation level
	// fetchBytes bounds what is held for a partition; a larger message comes whole.
	fetchBytes = 1 << 20
)

// Partition is a partition that is assigned to this member of a group. It belongs
// to the handler that got it; only Commit may be called from other goroutines.
type Partition struct {
	client    *Client
	topic     string
	id        uuid.UUID // of the topic; none where the brokers do not say
	number    int
	committed int64 // negative: none
	commits   *commits
	conn      *brokerConn
	buffer    []Message // fetched and not yet handed out
	seen      failures

	mu    sync.Mutex
	next  int64 // to be fetched; negative: the first that is kept
	hole  int64 // all from here to next are no messages: the next after the last fetched
	noted int64 // what Commit noted last; negative: nothing
}

// Topic returns the partition's topic.
func (p *Partition) Topic() string { return p.topic }

// Number returns the partition's number in its topic, from 0.
func (p *Partition) Number() int { return p.number }

// Committed returns the group's commit, the offset of the next message to handle,
// as it was when the partition was assigned.
func (p *Partition) Committed() (int64, bool) { return p.committed, p.committed >= 0 }

// TopicID tells the topic from others of its name that were there before or will be:
// one that is deleted and made again has another. It is false where the brokers do not
// say, as before Kafka 2.8.
func (p *Partition) TopicID() (uuid.UUID, bool) { return p.id, p.id != uuid.Nil }

// SeekTo sets the offset of the next message to fetch, which is otherwise the group's
// commit. An offset that the topic does not have (any more) is set back to the oldest
// message that is kept.
func (p *Partition) SeekTo(offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next, p.hole, p.buffer = offset, offset, nil
}

// Commit notes for the group that all messages before the offset next are done. It
// is written within 200 ms, or when the partition is revoked; a commit after the
// revocation counts no more, so that another member may see the messages again.
func (p *Partition) Commit(next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noted = next
	p.commits.set(p, next)
}

// moveTo notes that all before next is fetched, and the last message before hole.
func (p *Partition) moveTo(hole, next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := p.noted >= 0 && p.noted >= p.hole
	p.hole, p.next = hole, next
	if done && len(p.buffer) == 0 { // nothing came but what is no message, and would seem to be left to do
		p.noted = next
		p.commits.set(p, next)
	}
}

// Fetch returns the next messages, at least one and at most limit: it blocks until
// there is one, or ctx ends. Failures of the brokers are tried again. It returns the
// cause of ctx's end, [ErrDenied], and [ErrClosed] when the client was closed.
func (p *Partition) Fetch(ctx context.Context, limit int) ([]Message, error) {
	rest := newBackoff()
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
			rest.Reset()
		case errors.Is(err, kafkago.OffsetOutOfRange):
			err = p.reset(ctx)
		case denied(err):
			return nil, p.client.explain(ctx, p.what(), err)
		}
		if err != nil {
			p.close()
			p.seen.warn(p.client.log, err, "cannot fetch, trying again", "topic", p.topic, "partition", p.number)
			_ = rest.Wait(ctx)
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
		_ = p.conn.conn.Close()
		p.conn = nil
	}
}

// fill asks the leader once.
func (p *Partition) fill(ctx context.Context) error {
	if err := p.connect(ctx); err != nil {
		return err
	}
	conn := p.conn.conn
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(2 * fetchSilence)); err != nil {
		return err
	}
	if p.next < 0 {
		first, _, err := p.bounds(ctx)
		if err != nil {
			return err
		}
		p.moveTo(first, first)
	}
	answer, err := p.ask()
	if err != nil {
		return err
	}
	r := newFetched(p.topic, p.number, p.next, answer.AbortedTransactions)
	err = r.read(answer.RecordBatches)
	p.buffer = r.messages // of what breaks off, what came is kept
	hole := p.hole
	if n := len(r.messages); n > 0 {
		hole = r.messages[n-1].Offset + 1
	}
	p.moveTo(hole, r.next)
	if len(p.buffer) > 0 {
		return nil
	}
	return err
}

// ask fetches what comes next, of this topic and no other of its name.
func (p *Partition) ask() (*kmsg.FetchResponseTopicPartition, error) {
	version, err := p.conn.most(int16(protocol.Fetch), fetchByID)
	if err != nil {
		return nil, err
	}
	if version >= fetchByID && p.id == uuid.Nil {
		version = fetchByID - 1
	}
	request := kmsg.NewPtrFetchRequest()
	request.SetVersion(version)
	request.MaxWaitMillis, request.MinBytes, request.MaxBytes = int32(fetchWait/time.Millisecond), 1, fetchBytes
	request.IsolationLevel = readCommitted
	partition := kmsg.NewFetchRequestTopicPartition()
	partition.Partition, partition.FetchOffset, partition.PartitionMaxBytes = int32(p.number), p.next, fetchBytes
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID, topic.Partitions = p.topic, p.id, append(topic.Partitions, partition)
	request.Topics = append(request.Topics, topic)
	answer, err := as[*kmsg.FetchResponse](p.conn.ask(request))
	if err != nil {
		return nil, err
	}
	if err := codeError(answer.ErrorCode); err != nil {
		return nil, err
	}
	if len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("%w: it leaves out the partition", errNotKafka)
	}
	found := &answer.Topics[0].Partitions[0]
	return found, codeError(found.ErrorCode)
}

func (p *Partition) connect(ctx context.Context) error {
	if p.conn != nil {
		return nil
	}
	leader, err := p.client.leader(ctx, p.topic, p.number)
	if err != nil {
		return err
	}
	p.conn, err = p.client.dialBroker(ctx, net.JoinHostPort(leader.Host, strconv.Itoa(leader.Port)), fetchSilence)
	return err
}

// bounds returns the offsets of the oldest message that is kept and after the newest.
func (p *Partition) bounds(ctx context.Context) (first, last int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*fetchSilence)
	defer cancel()
	answer, err := p.client.api.ListOffsets(ctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{
		p.topic: {kafkago.FirstOffsetOf(p.number), kafkago.LastOffsetOf(p.number)},
	}})
	if err != nil {
		return 0, 0, err
	}
	for _, found := range answer.Topics[p.topic] {
		if found.Partition == p.number {
			return found.FirstOffset, found.LastOffset, found.Error
		}
	}
	return 0, 0, kafkago.LeaderNotAvailable
}

// reset moves an offset that the partition does not have into what it has: messages
// were deleted, or lost with their broker.
func (p *Partition) reset(ctx context.Context) error {
	first, last, err := p.bounds(ctx)
	if err != nil {
		return err
	}
	wanted := p.next
	if first <= wanted && wanted <= last { // a new leader has caught up meanwhile
		return nil
	}
	p.moveTo(first, first)
	p.client.log.Warn("the offset is out of range and was set back", "topic", p.topic, "partition", p.number,
		"wanted", wanted, "first", first, "last", last)
	return nil
}
