package projections

import "time"

// WithPatience sets how long one try to switch may take.
func WithPatience(d time.Duration) RebuildOption { return func(r *rebuild) { r.patience = d } }
