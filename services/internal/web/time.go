package web

import "time"

// Time is a time in JSON as a store records it: UTC, and always with all six digits
// of the microseconds, so that a client can give it back in ?at=.
type Time time.Time

// MarshalText writes RFC 3339.
func (t Time) MarshalText() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format("2006-01-02T15:04:05.000000Z07:00")), nil
}

// UnmarshalText reads RFC 3339.
func (t *Time) UnmarshalText(text []byte) error {
	parsed, err := time.Parse(time.RFC3339Nano, string(text))
	*t = Time(parsed)
	return err
}
