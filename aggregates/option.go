package aggregates

// Option changes how a repository works.
type Option func(*options)

type options struct{ attempts int }

// defaults: within a process one caller at a time tries more than once, so twenty
// attempts are for many processes.
func defaults() options { return options{attempts: 20} }

// WithAttempts sets how often Decide tries before it returns the conflict: 20 unless
// told, at least once.
func WithAttempts(n int) Option { return func(o *options) { o.attempts = max(n, 1) } }
