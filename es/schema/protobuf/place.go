package protobuf

import (
	"slices"
	"strings"
)

// place is where in a message something is; that of the whole is nil. It becomes a path only
// when there is a problem.
type place struct {
	above *place
	step  string // a field's name, [] or {}
}

func (p *place) below(step string) *place { return &place{p, step} }

// String is the path as people write it: lines[].price.
func (p *place) String() string {
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
