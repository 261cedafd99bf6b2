package jsonschema

import (
	"slices"
	"strconv"

	"github.com/asof-dev/asof/es/schema"
)

// comparison proves that claims of a value imply schemas.
//
// A schema may lead to itself, and a proof with it: "a tree can be read if its branches can,
// which are trees". So what is being proved counts as true, but only for values below the one
// that it is being proved for: JSON is finite, so that is a proof by induction over the size of
// values. A level counts how far below the root's value a proof is, and each proof remembers
// the deepest level that it has taken as true.
type comparison struct {
	*graph
	patterns

	never    *node
	exact    map[string]*node // by canonical text
	requires map[string]*node // by name
	rests    map[remaindersKey][]remainder

	proofs   map[string]proof // by question
	order    []string         // of the proofs that are done
	failed   map[string][]schema.Problem
	level    int
	within   int  // the level of the question that this one is a part of
	taken    int  // the deepest level that has been taken as true
	depth    int  // of questions within questions
	refuting bool // within a refutation none is tried: they would multiply
	left     int  // steps, before it is too much
	circle   bool
}

// proof is one that is done, or that is being tried.
type proof struct {
	done  bool
	level int // that it is tried at, or that it has taken as true
}

const (
	mostSteps   = 100_000
	deepestCall = 5_000
	nothing     = -1 // no level has been taken as true
)

func newComparison(g *graph) *comparison {
	c := &comparison{
		graph: g, patterns: patterns{}, exact: map[string]*node{}, requires: map[string]*node{},
		rests:  map[remaindersKey][]remainder{},
		proofs: map[string]proof{}, failed: map[string][]schema.Problem{},
		within: nothing, taken: nothing, left: mostSteps,
	}
	c.never = c.add()
	c.never.never, c.never.could = true, 0
	return c
}

// spend counts work, and tells whether there is some left.
func (c *comparison) spend(steps int) bool {
	c.left -= steps
	return c.left > 0
}

// implies lists why a value of the claim may not be valid by the schema.
func (c *comparison) implies(w *claim, r *node) []schema.Problem {
	for i := 0; r.leads() && i < deepest; i++ {
		r = r.ref
	}
	if w.types == 0 || slices.ContainsFunc(w.all, func(n *node) bool { return n.class == r.class }) {
		return nil
	}
	if !c.spend(1+len(w.all)) || c.depth > deepestCall {
		c.left = 0
		return []schema.Problem{tooMuch()}
	}
	key := w.key + ">" + strconv.Itoa(r.id) + "/" + strconv.FormatBool(c.refuting)
	if problems, known := c.failed[key]; known {
		return problems
	}
	if p, known := c.proofs[key]; known {
		if p.level < c.level {
			c.taken = max(c.taken, p.level)
			return nil
		}
		if !p.done { // a circle that goes through one value says nothing
			c.circle = true
			return []schema.Problem{{Says: "goes in a circle", Cure: "let no schema be its own alternative"}}
		}
	}
	return c.prove(key, w, r)
}

func tooMuch() schema.Problem {
	return schema.Problem{Says: "is too involved to be compared to its end", Cure: "use fewer alternatives within alternatives"}
}

// prove goes through the rules.
func (c *comparison) prove(key string, w *claim, r *node) (problems []schema.Problem) {
	taken, circle, within, mark := c.taken, c.circle, c.within, len(c.order)
	c.proofs[key] = proof{level: c.level}
	c.taken, c.circle, c.within = nothing, false, c.level
	c.depth++
	for _, rule := range rules() {
		if c.left <= 0 {
			problems = append(problems, tooMuch())
			break
		}
		problems = append(problems, c.apply(rule, w, r)...)
	}
	c.depth--
	c.within = within
	problems = distinct(problems)
	if len(problems) == 0 {
		if within < c.level { // nothing is being proved of the same value: the rest is of those above
			c.taken = min(c.taken, c.level-1)
		}
		c.proofs[key] = proof{done: true, level: c.taken}
		c.order = append(c.order, key)
	} else {
		c.fail(key, problems, mark)
	}
	c.taken, c.circle = max(taken, c.taken), circle || c.circle && len(problems) > 0
	return problems
}

// fail takes back what was proved since, as far as it has taken something as true.
func (c *comparison) fail(key string, problems []schema.Problem, mark int) {
	for _, since := range c.order[mark:] {
		if c.proofs[since].level != nothing {
			delete(c.proofs, since)
		}
	}
	c.order = c.order[:mark]
	delete(c.proofs, key)
	if !c.circle && c.left > 0 {
		c.failed[key] = problems
	}
}

// apply asks one rule. Where it has problems with the claim as a whole, it may have none with
// what is left of it on a closer look, or with each of its cases.
func (c *comparison) apply(rule rule, w *claim, r *node) []schema.Problem {
	problems := rule.check(c, w, r)
	if len(problems) == 0 || rule.whole || c.left <= 0 {
		return problems
	}
	if types := c.possible(w); types == 0 {
		return nil
	} else if types != w.types {
		return c.apply(rule, c.typed(w, types), r)
	}
	cases, byValue := c.cases(w, rule.byType)
	if cases == nil {
		return problems
	}
	var of []schema.Problem
	for _, one := range cases {
		of = append(of, c.apply(rule, one, r)...)
	}
	if byValue && len(of) > 0 {
		return problems
	}
	return distinct(of)
}

// possible are the types that a value of the claim can have, for all that it says.
func (c *comparison) possible(w *claim) mask {
	types := w.types
	if low, high := w.limit(+1), w.limit(-1); low != nil && high != nil {
		if cmp := low.at.Cmp(high.at); cmp > 0 || cmp == 0 && (low.open || high.open) {
			types &^= tNumber
		}
	}
	for q := minLength; q < counts; q += 2 {
		least, most := w.count(q), w.count(q+1)
		if least != nil && most != nil && least.Cmp(most) > 0 {
			types &^= q.of()
		}
	}
	if types&tObject != 0 && c.lacks(w) {
		types &^= tObject
	}
	var left mask
	values, finite := c.values(w)
	for _, v := range values {
		left |= v.types()
	}
	if finite {
		types &= left
	}
	if c.refuted(w) {
		return 0
	}
	return types
}

// refuted tells that a value of the claim is valid by what it is not valid by.
func (c *comparison) refuted(w *claim) bool {
	if c.refuting || len(w.nots) == 0 {
		return false
	}
	c.refuting = true
	defer func() { c.refuting = false }()
	return slices.ContainsFunc(w.nots, func(n *node) bool { return len(c.implies(w, n)) == 0 })
}

// lacks tells that a required field cannot have a value.
func (c *comparison) lacks(w *claim) bool {
	for _, name := range sorted(w.required) {
		if c.none(c.field(w, name)) {
			return true
		}
	}
	return false
}

// none tells that no value below can be what is claimed.
func (c *comparison) none(w *claim) bool { return len(c.below("", w, c.never)) == 0 }

// empty tells that no value can be what is claimed.
func (c *comparison) empty(w *claim) bool { return len(c.implies(w, c.never)) == 0 }

// below is implies of what is below a value, at a place seen from it.
func (c *comparison) below(place string, w *claim, r *node) []schema.Problem {
	refuting := c.refuting
	c.level, c.refuting = c.level+1, false
	problems := c.implies(w, r)
	c.level, c.refuting = c.level-1, refuting
	return c.at(place, problems)
}

// at puts problems at a place.
func (c *comparison) at(place string, problems []schema.Problem) []schema.Problem {
	moved := make([]schema.Problem, 0, len(problems))
	for _, p := range problems {
		if !c.spend(1 + len(p.Path)/100) {
			return append(moved, tooMuch())
		}
		p.Path = place + p.Path
		moved = append(moved, p)
	}
	return moved
}

// distinct leaves out what is said twice.
func distinct(problems []schema.Problem) []schema.Problem {
	if len(problems) < 2 {
		return problems
	}
	seen := map[schema.Problem]bool{}
	var once []schema.Problem
	for _, p := range problems {
		if !seen[p] {
			seen[p] = true
			once = append(once, p)
		}
	}
	return once
}
