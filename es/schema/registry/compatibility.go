package registry

import (
	"fmt"
	"strings"

	"github.com/asof-dev/asof/es"
)

// Compatibility is what a new version of a contract owes to the former ones, by its name in the
// Confluent API. Empty is [Backward].
type Compatibility string

// The compatibilities. Those that are transitive look at all former versions, the others at the
// last one.
const (
	None               Compatibility = "NONE"
	Backward           Compatibility = "BACKWARD" // it reads what the former one wrote: upgrade consumers first
	BackwardTransitive Compatibility = "BACKWARD_TRANSITIVE"
	Forward            Compatibility = "FORWARD" // the former one reads what it writes: upgrade producers first
	ForwardTransitive  Compatibility = "FORWARD_TRANSITIVE"
	Full               Compatibility = "FULL" // both
	FullTransitive     Compatibility = "FULL_TRANSITIVE"
)

// ParseCompatibility reads a name, in capitals or not, with - or _.
func ParseCompatibility(text string) (Compatibility, error) {
	c := Compatibility(strings.ReplaceAll(strings.ToUpper(text), "-", "_"))
	return c, c.validate()
}

func (c Compatibility) validate() error {
	switch c {
	case "", None, Backward, BackwardTransitive, Forward, ForwardTransitive, Full, FullTransitive:
		return nil
	}
	return &failure{fmt.Sprintf("compatibility %.40q: give none, backward, forward or full, or one of the last three with -transitive", string(c)), es.ErrInvalid}
}

// parts are the direction and whether all versions count.
func (c Compatibility) parts() (backward, forward, all bool) {
	direction, all := strings.CutSuffix(string(c), "_TRANSITIVE")
	switch Compatibility(direction) {
	case "", Backward:
		return true, false, all
	case Forward:
		return false, true, all
	case Full:
		return true, true, all
	default:
		return false, false, all
	}
}
