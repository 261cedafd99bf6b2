package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// PublishError says which messages of a Publish were not acknowledged. errors.Is and
// errors.As find what is in Errors.
type PublishError struct {
	// Errors has one element for each message, nil for one that was acknowledged.
	Errors []error
}

func (e *PublishError) Error() string {
	failed := slices.DeleteFunc(slices.Clone(e.Errors), func(err error) bool { return err == nil })
	return fmt.Sprintf("kafka: %d of %d messages were not acknowledged, first: %v", len(failed), len(e.Errors), failed[0])
}

// Unwrap returns the different errors.
func (e *PublishError) Unwrap() []error {
	var list []error
	for _, err := range e.Errors {
		if err != nil && !slices.Contains(list, err) {
			list = append(list, err)
		}
	}
	return list
}

// call is a Publish that waits, or a part of a flow.
type call struct {
	ctx      context.Context //nolint:containedctx // a call lives as long as its Publish
	messages []Message
	flow     *Flow         // that it is of, if any
	next     *call         // of the flow, whose lock is for it
	done     chan struct{} // closed when every message has its result

	mu      sync.Mutex
	pending int
	acked   []bool
	failure error // what ended the call; nothing of it is sent after that
	last    error // what was tried again last
}

func newCall(ctx context.Context, messages []Message) *call {
	return &call{ctx: ctx, messages: messages, done: make(chan struct{}), pending: len(messages), acked: make([]bool, len(messages))}
}

// ended reports a call that has failed or whose caller has gone.
func (c *call) ended() bool {
	if c.ctx.Err() != nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure != nil
}

func (c *call) ack(index int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked[index] = true
	if c.pending--; c.pending == 0 && c.failure == nil {
		close(c.done)
	}
}

// fail ends the call, and what follows it in its flow, before it returns.
func (c *call) fail(err error) {
	if c.flow != nil {
		c.flow.end(c, err)
	} else {
		c.end(err)
	}
}

// end sends no more of the call. What is under way may still be acknowledged by the broker.
func (c *call) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure == nil && c.pending > 0 {
		c.failure = err
		close(c.done)
	}
}

func (c *call) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = err
}

func (c *call) wait() error {
	select {
	case <-c.done:
	case <-c.ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == 0 {
		return nil
	}
	err := c.failure
	if err == nil {
		err = fmt.Errorf("kafka: no acknowledgement in time: %w", errors.Join(context.Cause(c.ctx), c.last))
		c.failure = err
	}
	failed := &PublishError{Errors: make([]error, len(c.messages))}
	for i, ok := range c.acked {
		if !ok {
			failed.Errors[i] = err
		}
	}
	return failed
}
