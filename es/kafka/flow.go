package kafka

import (
	"context"
	"fmt"
	"sync"
)

// Flow publishes messages without waiting for those before them, and keeps order all the same:
// when some cannot be published, nothing that was given after them is sent any more. What was
// given before goes on. So a partition that is slow holds up nobody but itself.
type Flow struct {
	producer *Producer
	ctx      context.Context //nolint:containedctx // ends what is not acknowledged

	mu      sync.Mutex
	last    *call
	failure error // of a message: nothing is taken any more
}

// NewFlow returns a flow that ends with ctx: what is not acknowledged by then is given up, as
// by [Producer.Publish].
func (p *Producer) NewFlow(ctx context.Context) *Flow { return &Flow{producer: p, ctx: ctx} }

// Send takes messages, and returns what waits until all of them are acknowledged: it gives the
// errors of [Producer.Publish], and [ErrBehind] for what was given after a message that could
// not be published. Messages of one key are kept in the order given, through all calls; so Send
// is for one goroutine at a time.
func (f *Flow) Send(messages ...Message) (acknowledged func() error, err error) {
	if len(messages) == 0 {
		return func() error { return nil }, nil
	}
	lines, err := f.producer.assign(f.ctx, messages)
	if err != nil {
		return nil, err
	}
	c := newCall(f.ctx, messages)
	c.flow = f
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil {
		return nil, behind(f.failure)
	}
	if err := f.producer.push(c, lines); err != nil {
		return nil, err
	}
	if f.last != nil {
		f.last.next = c
	}
	f.last = c
	return c.wait, nil
}

// end ends a call and all that were given after it.
func (f *Flow) end(c *call, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
	c.end(err)
	for after := c.next; after != nil; after = after.next {
		after.end(behind(err))
	}
}

func behind(err error) error { return fmt.Errorf("%w: %w", ErrBehind, err) }
