package schema

import (
	"slices"
	"strings"
)

// Place is where in a schema something is; that of the root is nil. It becomes a path only
// when there is a problem.
type Place struct {
	above *Place
	step  string // a field's name, [] or {}
}

// Below is a place one step further down: a field's name, [] for the items of a list, {} for the values
// of a map.
func (p *Place) Below(step string) *Place { return &Place{p, step} }

// String is the path as people write it: lines[].price.
func (p *Place) String() string {
	var steps []string
	for ; p != nil; p = p.above {
		if p.above != nil && p.step != "[]" && p.step != "{}" {
			steps = append(steps, p.step, ".")
		} else {
			steps = append(steps, p.step)
		}
	}
	slices.Reverse(steps)
	return strings.Join(steps, "")
}
