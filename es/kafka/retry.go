package kafka

import (
	"context"
	"time"
)

const (
	firstBackoff = 20 * time.Millisecond
	lastBackoff  = 250 * time.Millisecond
	// answerTimeout bounds a question that may be asked again, answerTries how often.
	answerTimeout = 5 * time.Second
	answerTries   = 8
)

// backoff is a pause that grows.
type backoff struct{ next time.Duration }

func (b *backoff) pause(ctx context.Context) error {
	d := max(b.next, firstBackoff)
	b.next = min(2*d, lastBackoff)
	return pause(ctx, d)
}

// retry asks again what fails for the moment, as after a leader has moved.
func (c *Client) retry(ctx context.Context, ask func(context.Context) error) error {
	var wait backoff
	for try := 1; ; try++ {
		if err := c.open(); err != nil {
			return err
		}
		bounded, cancel := context.WithTimeout(ctx, answerTimeout)
		err := ask(bounded)
		cancel()
		if err == nil || try == answerTries || denied(err) {
			return err
		}
		if wait.pause(ctx) != nil {
			return err
		}
	}
}
