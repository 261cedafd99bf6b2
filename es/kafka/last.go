package kafka

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
)

// lastAtOnce is how many partitions Last asks at once.
const lastAtOnce = 8

// Last returns the newest message of each partition of a topic, in no order. A
// partition that has none, or whose newest record is no message, is left out. Without a
// topic of the name it gives [ErrNoTopic].
func (c *Client) Last(ctx context.Context, topic string) ([]Message, error) {
	heads, err := c.Heads(ctx, topic)
	if err != nil {
		return nil, err
	}
	tails, err := c.Tails(ctx, topic)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var newest []Message
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lastAtOnce)
	for number, head := range heads {
		if head <= tails[number] {
			continue
		}
		group.Go(func() error {
			found, err := c.messageAt(ctx, topic, number, head-1)
			mu.Lock()
			defer mu.Unlock()
			newest = append(newest, found...)
			return err
		})
	}
	return newest, group.Wait()
}

// messageAt returns the message at an offset; none when there is another record.
func (c *Client) messageAt(ctx context.Context, topic string, number int, offset int64) ([]Message, error) {
	p := &Partition{client: c, topic: topic, number: number, committed: -1, noted: -1}
	err := c.retry(ctx, func(ctx context.Context) error {
		p.SeekTo(offset)
		defer p.close()
		return p.fill(ctx)
	})
	if err != nil {
		return nil, c.explain(ctx, p.what(), err)
	}
	return p.buffer[:min(len(p.buffer), 1)], nil
}
