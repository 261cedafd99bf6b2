package kafka_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/asof-dev/asof/es/kafka"
)

// collector is a handler that keeps what it reads and commits it.
type collector struct {
	mu   sync.Mutex
	got  []kafka.Message
	more chan struct{} // closed when something was added
}

func (c *collector) collect(ctx context.Context, part *kafka.Partition) error {
	for {
		messages, err := part.Fetch(ctx, 100)
		if err != nil {
			return err
		}
		c.add(messages)
		part.Commit(messages[len(messages)-1].Offset + 1)
	}
}

func (c *collector) add(messages []kafka.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, messages...)
	if c.more != nil {
		close(c.more)
		c.more = nil
	}
}

func (c *collector) list() []kafka.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// distinct counts messages by topic, partition and offset.
func (c *collector) distinct() int {
	type place struct {
		topic     string
		partition int
		offset    int64
	}
	seen := make(map[place]bool)
	for _, m := range c.list() {
		seen[place{m.Topic, m.Partition, m.Offset}] = true
	}
	return len(seen)
}

// wait returns when n different messages were read.
func (c *collector) wait(t *testing.T, n int) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		c.mu.Lock()
		if c.more == nil {
			c.more = make(chan struct{})
		}
		more := c.more
		c.mu.Unlock()
		have := c.distinct()
		if have >= n {
			return
		}
		select {
		case <-more:
		case <-deadline.C:
			t.Fatalf("%d of %d messages were read in %s", have, n, patience)
		}
	}
}
