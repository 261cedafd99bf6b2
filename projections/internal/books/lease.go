package books

import "time"

// LeaseTime is how long a rebuild that shows no sign of life keeps others out, and LeaseSQL
// when that ends.
const (
	LeaseTime = 30 * time.Second
	LeaseSQL  = `clock_timestamp() + interval '30 seconds'`
)
