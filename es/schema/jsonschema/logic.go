package jsonschema

import (
	"strconv"

	"github.com/asof-dev/asof/es/schema"
)

func (c *comparison) readsAnyOf(w *claim, r *node) []schema.Problem {
	if r.anyOf == nil {
		return nil
	}
	for _, branch := range r.anyOf {
		if len(c.implies(w, branch)) == 0 {
			return nil
		}
	}
	return c.closest(w, r.anyOf)
}

// closest is why no alternative will do. When one alone can be meant, it is what that one says.
func (c *comparison) closest(w *claim, branches []*node) []schema.Problem {
	var near []*node
	for _, branch := range branches {
		if !c.empty(c.with(w, branch)) {
			near = append(near, branch)
		}
	}
	switch len(near) {
	case 0:
		return one("lost the alternative that was "+w.types.String(), "keep the alternative")
	case 1:
		return c.implies(w, near[0])
	}
	return one("may fit none of its "+strconv.Itoa(len(branches))+" alternatives now (it was "+w.types.String()+")",
		"keep the alternative that it fitted")
}

// readsOneOf asks that a value fits one alternative, and that none of the others can be.
func (c *comparison) readsOneOf(w *claim, r *node) []schema.Problem {
	if r.oneOf == nil {
		return nil
	}
	fits := false
	for i, branch := range r.oneOf {
		if len(c.implies(w, branch)) > 0 {
			continue
		}
		fits = true
		if c.apart(w, r.oneOf, i) {
			return nil
		}
	}
	if !fits {
		return c.closest(w, r.oneOf)
	}
	return one("may fit two alternatives of oneOf at once now",
		"use anyOf, or tell the alternatives apart by their types or by a required field with a const")
}

func (c *comparison) apart(w *claim, branches []*node, but int) bool {
	for i, other := range branches {
		if i != but && !c.empty(c.with(w, other)) {
			return false
		}
	}
	return true
}

// readsConditions is about not and if.
func (c *comparison) readsConditions(w *claim, r *node) (problems []schema.Problem) {
	if r.not != nil && !c.empty(c.with(w, r.not)) {
		problems = one("may be what its not refuses now", "take not back, or "+addField)
	}
	if r.cond == nil {
		return problems
	}
	if r.then != nil {
		problems = append(problems, c.implies(c.with(w, r.cond), r.then)...)
	}
	if r.els != nil {
		problems = append(problems, c.implies(c.without(w, r.cond), r.els)...)
	}
	return problems
}
