package es

import "fmt"

// Expected is what an append requires of the stream's version before it. An
// append that finds another gives a [*ConflictError] and records nothing.
type Expected int64

const (
	// NoStream requires that the stream does not exist. It is the zero value and
	// the same as Exactly(0).
	NoStream Expected = 0
	// Any requires nothing: the events go to the end of the stream.
	Any Expected = -1
	// StreamExists requires that the stream has at least one event.
	StreamExists Expected = -2
)

// Exactly requires that the stream's last event has version v; zero means that
// the stream does not exist.
func Exactly(v Version) Expected { return Expected(v) }

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
	if e < StreamExists {
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
