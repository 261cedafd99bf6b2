package kafka

import (
	"context"
	"time"

	"github.com/asof-dev/asof/internal/wait"
)

const (
	firstBackoff = 20 * time.Millisecond
	lastBackoff  = 250 * time.Millisecond
	// answerTimeout bounds a question that may be asked again, answerTries how often.
	answerTimeout = 5 * time.Second
	answerTries   = 8
)

// newBackoff is the pause between tries of what the brokers do not answer.
func newBackoff() *wait.Backoff { return &wait.Backoff{First: firstBackoff, Last: lastBackoff} }

// retry asks again what fails for the moment, as after a leader has moved.
func (c *Client) retry(ctx context.Context, ask func(context.Context) error) error {
	rest := newBackoff()
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
		if rest.Wait(ctx) != nil {
			return err
		}
	}
}
