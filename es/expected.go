package es

import (
	"fmt"
	"math"
)

// Expected is what an append requires of the stream's version before it. An
// append that finds another gives a [*ConflictError] and records nothing.
type Expected int64

const (
	// NoStream requires that the stream does not exist. It is the zero value and
	// the same as Exactly(0).
	NoStream Expected = 0
	// Any requires nothing: the events go to the end of the stream. Like StreamExists
	// it is a number that no calculation with versions leads to.
	Any Expected = math.MinInt64
	// StreamExists requires that the stream has at least one event.
	StreamExists Expected = math.MinInt64 + 1
)

// Exactly requires that the stream's last event has version v; zero means that
// the stream does not exist. A negative version, as a wrong calculation gives it, is
// refused by every append.
func Exactly(v Version) Expected { return max(Expected(v), StreamExists+1) }

// Exact returns the version that Exactly was given, and whether it was Exactly.
func (e Expected) Exact() (Version, bool) { return Version(e), e >= 0 }

// Matches reports whether a stream whose last version is got satisfies e.
func (e Expected) Matches(got Version) bool {
	switch e {
	case Any:
		return true
	case StreamExists:
		return got > 0
	default:
		return Expected(got) == e
	}
}

// Validate reports, as [ErrInvalid], a value that none of the above made.
func (e Expected) Validate() error {
	if e < 0 && e != Any && e != StreamExists {
		return fmt.Errorf("%w: expected version %d: use Exactly with 0 or more, NoStream, StreamExists or Any", ErrInvalid, int64(e))
	}
	return nil
}

// String returns the words of the constants, or the version.
func (e Expected) String() string {
	switch e {
	case NoStream:
		return "no stream"
	case Any:
		return "any version"
	case StreamExists:
		return "an existing stream"
	default:
		return fmt.Sprintf("version %d", int64(e))
	}
}
