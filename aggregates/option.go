package aggregates

// Option changes how a repository works.
type Option func(*options)

type options struct{ attempts int }

// defaults: with twenty attempts and their pauses, some fifty callers may decide on
// one aggregate at the same moment.
func defaults() options { return options{attempts: 20} }

// WithAttempts sets how often Decide tries before it returns the conflict: 20 unless
// told, at least once.
func WithAttempts(n int) Option { return func(o *options) { o.attempts = max(n, 1) } }
