package aggregates

import (
	"fmt"

	"github.com/asof-dev/asof/es"
)

// Option changes how a repository works. One that cannot be is refused as [New] says.
type Option func(*options)

type options struct{ attempts int }

// defaults: within a process one caller at a time tries more than once, so twenty
// attempts are for many processes.
func defaults() options { return options{attempts: 20} }

// WithAttempts sets how often Decide tries before it returns the conflict: 20 unless
// told, at least once.
func WithAttempts(n int) Option { return func(o *options) { o.attempts = n } }

// possible returns an [es.ErrInvalid] when an option cannot be.
func (o options) possible() error {
	if o.attempts < 1 {
		return fmt.Errorf("aggregates: %w: WithAttempts(%d): give 1 or more", es.ErrInvalid, o.attempts)
	}
	return nil
}
