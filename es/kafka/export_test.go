package kafka

import (
	"context"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// NewThrough is New with connections that the test makes.
func NewThrough(c Config, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*Client, error) {
	return newClient(c, dial)
}

// KeyPartition is the partition of a key.
func KeyPartition(key []byte, partitions int) int { return keyPartition(key, partitions) }

// CommitNow writes a commit and returns what the broker said.
func (p *Partition) CommitNow(next int64) error {
	p.commits.mu.Lock()
	p.commits.pending = map[place]commit{{p.topic, p.number}: {id: p.id, next: next}}
	p.commits.mu.Unlock()
	taken, request := p.commits.take()
	response, err := p.client.api.OffsetCommit(context.Background(), request)
	if err != nil {
		return err
	}
	_, err = unwritten(taken, response)
	return err
}

// PatientDial dials connections that are given up when they are silent for so long.
func PatientDial(known []string, silent time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	return newDialer((&net.Dialer{}).DialContext, known).patient(silent, silent)
}

// ReadRecords reads what a broker returned, and the offset to go on from.
func ReadRecords(raw []byte, from int64, aborted ...kmsg.FetchResponseTopicPartitionAbortedTransaction) ([]Message, int64, error) {
	f := newFetched("topic", 0, from, aborted)
	err := f.read(raw)
	return f.messages, f.next, err
}

// DialBroker connects to a broker as partitions do.
func (c *Client) DialBroker(ctx context.Context, address string) error {
	conn, err := c.dialBroker(ctx, address, fetchSilence)
	if err == nil {
		_ = conn.conn.Close()
	}
	return err
}
