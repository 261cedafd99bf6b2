package jsonschema

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// claim is what is known of a value: that it is valid by all of some schemas, and by none of
// others.
type claim struct {
	all      []*node // with what their allOf and $ref lead to
	nots     []*node
	types    mask
	decided  []decision // alternatives that were gone into, and so are in all
	required map[string]bool
	key      string // equal for equal claims
}

// decision is an anyOf, oneOf or if of a node.
type decision struct {
	node    int
	keyword int
}

const (
	byAnyOf = iota
	byOneOf
	byIf
)

// claim is that of all of the nodes.
func (c *comparison) claim(nodes ...*node) *claim { return c.conclude(&claim{all: nodes, types: tAny}) }

// with claims more.
func (c *comparison) with(w *claim, more ...*node) *claim {
	next := *w
	next.all = slices.Concat(w.all, more)
	return c.conclude(&next)
}

// without claims that a value is not valid by others.
func (c *comparison) without(w *claim, nots ...*node) *claim {
	next := *w
	next.nots = slices.Concat(w.nots, nots)
	return c.conclude(&next)
}

// typed claims that a value is of the types.
func (c *comparison) typed(w *claim, types mask) *claim {
	next := *w
	next.types &= types
	return c.conclude(&next)
}

// conclude follows what applies without a condition.
func (c *comparison) conclude(w *claim) *claim {
	todo, nots := slices.Clone(w.all), slices.Clone(w.nots)
	w.all, w.required = nil, map[string]bool{}
	seen := map[int]bool{}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !seen[n.id] {
			seen[n.id] = true
			if !n.leads() {
				w.all = append(w.all, n)
			}
			w.types &= n.could
			if n.not != nil {
				nots = append(nots, n.not)
			}
			for _, name := range n.required {
				w.required[name] = true
			}
			todo = append(todo, n.allOf...)
			if n.ref != nil {
				todo = append(todo, n.ref)
			}
		}
		if len(todo) == 0 {
			todo = w.dependents(seen)
		}
	}
	byID := func(a, b *node) int { return cmp.Compare(a.id, b.id) }
	slices.SortFunc(w.all, byID)
	slices.SortFunc(nots, byID)
	w.nots = slices.Compact(nots)
	c.spend(len(w.all) + len(w.nots))
	w.key = w.makeKey()
	return w
}

// dependents are what required fields bring with them, as far as it is not seen yet.
func (w *claim) dependents(seen map[int]bool) (more []*node) {
	for again := true; again; {
		again = false
		for _, n := range w.all {
			for name, names := range n.dependentRequired {
				for _, needed := range names {
					if w.required[name] && !w.required[needed] {
						w.required[needed], again = true, true
					}
				}
			}
		}
	}
	if w.types&^tObject != 0 { // what is required is so of objects alone
		return nil
	}
	for _, n := range w.all {
		for name, sub := range n.dependentSchemas {
			if w.required[name] && !seen[sub.id] {
				more = append(more, sub)
			}
		}
	}
	return more
}

func (w *claim) makeKey() string {
	var b strings.Builder
	for _, n := range w.all {
		fmt.Fprintf(&b, "%d,", n.id)
	}
	for _, n := range w.nots {
		fmt.Fprintf(&b, "!%d,", n.id)
	}
	fmt.Fprint(&b, w.types, w.decided)
	return b.String()
}

// values are those that are left, when they can be counted.
func (c *comparison) values(w *claim) ([]*value, bool) {
	var left []*value
	finite := w.types&^(tNull|tBoolean) == 0
	if finite {
		for _, v := range []*value{{kind: tNull}, {kind: tBoolean}, {kind: tBoolean, truth: true}} {
			if w.types&v.kind != 0 {
				left = append(left, v)
			}
		}
	}
	for _, n := range w.all {
		for _, list := range [][]*value{n.enum, n.constant} {
			c.spend(len(list))
			switch {
			case list == nil:
			case finite:
				left = shared(left, list)
			default:
				left, finite = list, true
			}
		}
	}
	left = slices.DeleteFunc(slices.Clone(left), func(v *value) bool { return v.types()&w.types == 0 })
	return left, finite
}

// only is the one value that is left, or nil.
func (w *claim) only() *value {
	for _, n := range w.all {
		if n.only != nil {
			return n.only
		}
	}
	return nil
}

// set are values by their canonical text.
func set(list []*value) map[string]bool {
	of := make(map[string]bool, len(list))
	for _, v := range list {
		of[v.canonical()] = true
	}
	return of
}

func shared(a, b []*value) (both []*value) {
	in := set(b)
	for _, v := range a {
		if in[v.canonical()] {
			both = append(both, v)
		}
	}
	return both
}

// limit is the tightest of the minimums with the sign +1, of the maximums with -1. Among
// integers it is one.
func (w *claim) limit(sign int) *limit {
	var of *limit
	for _, n := range w.all {
		of = tighter(of, n.limit(sign), sign)
	}
	if of == nil || w.types&tFraction != 0 {
		return of
	}
	return whole(of, sign)
}

func (n *node) limit(sign int) *limit {
	if sign > 0 {
		return n.minimum
	}
	return n.maximum
}

// whole is the first integer within a limit.
func whole(of *limit, sign int) *limit {
	at := new(big.Int).Div(of.at.Num(), of.at.Denom()) // it rounds down: denominators are positive
	switch {
	case of.at.IsInt() && of.open:
		at.Add(at, big.NewInt(int64(sign)))
	case !of.at.IsInt() && sign > 0:
		at.Add(at, big.NewInt(1))
	}
	return &limit{at: new(big.Rat).SetInt(at)}
}

// case is what a claim may be, with all others.
//
// cases parts a claim: by the first of its alternatives, or else by value, or else by type
// where that is asked for. There are none when there is no way to.
func (c *comparison) cases(w *claim, byType bool) (cases []*claim, byValue bool) {
	for _, n := range w.all {
		if cases = c.alternatives(w, n); cases != nil {
			return cases, false
		}
	}
	if w.only() != nil {
		return nil, false
	}
	if values, finite := c.values(w); finite && len(values) <= mostValues {
		cases = []*claim{}
		for _, v := range values {
			cases = append(cases, c.with(w, c.exactly(v)))
		}
		return cases, true
	}
	if types := w.types.each(); byType && len(types) > 1 {
		for _, t := range types {
			cases = append(cases, c.typed(w, t))
		}
	}
	return cases, false
}

// mostValues is up to how many values a claim is parted by value.
const mostValues = 1_000

// alternatives parts a claim by those of a node that are undecided.
func (c *comparison) alternatives(w *claim, n *node) (cases []*claim) {
	decide := func(keyword int) (*claim, bool) {
		d := decision{n.id, keyword}
		next := *w
		next.decided = append(slices.Clone(w.decided), d)
		slices.SortFunc(next.decided, func(a, b decision) int {
			return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.keyword, b.keyword))
		})
		return &next, !slices.Contains(w.decided, d)
	}
	if next, open := decide(byAnyOf); open && n.anyOf != nil {
		for _, branch := range n.anyOf {
			cases = append(cases, c.with(next, branch))
		}
		return cases
	}
	if next, open := decide(byOneOf); open && n.oneOf != nil {
		for i, branch := range n.oneOf {
			others := slices.Concat(n.oneOf[:i], n.oneOf[i+1:])
			cases = append(cases, c.without(c.with(next, branch), others...))
		}
		return cases
	}
	if next, open := decide(byIf); open && n.cond != nil && (n.then != nil || n.els != nil) {
		then, els := c.with(next, n.cond), c.without(next, n.cond)
		if n.then != nil {
			then = c.with(then, n.then)
		}
		if n.els != nil {
			els = c.with(els, n.els)
		}
		return []*claim{then, els}
	}
	return nil
}

// sorted are the keys of maps, once each.
func sorted[V any](of ...map[string]V) []string {
	all := map[string]bool{}
	for _, m := range of {
		for key := range m {
			all[key] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
