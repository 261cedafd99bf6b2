package jsonschema

import (
	"slices"
	"strings"

	"github.com/asof-dev/asof/es/schema"
)

func dot(name string) string { return "." + short(name) }

func (c *comparison) readsRequired(w *claim, r *node) (problems []schema.Problem) {
	if w.types&tObject == 0 {
		return nil
	}
	for _, name := range r.required {
		if w.required[name] {
			continue
		}
		cure := "leave it optional"
		if sub := r.properties[name]; sub != nil && sub.hasDefault {
			cure += ": a default is a note, which nothing fills in"
		}
		problems = append(problems, schema.Problem{Path: dot(name), Says: "is required now", Cure: cure})
	}
	return problems
}

func (c *comparison) readsProperties(w *claim, r *node) (problems []schema.Problem) {
	if w.types&tObject == 0 {
		return nil
	}
	for _, name := range sorted(r.properties) {
		known := c.field(w, name)
		of := c.below(dot(name), known, r.properties[name])
		if len(of) > 0 && len(known.all) == 0 {
			of = c.at(dot(name), one("is added to an open object, in which a writer may have put anything under that name",
				"let it be anything, or close the former schema first (additionalProperties: false)"))
		}
		problems = append(problems, of...)
	}
	return problems
}

// readsPatterns asks it of the fields that are mentioned by name, and of the others.
func (c *comparison) readsPatterns(w *claim, r *node) (problems []schema.Problem) {
	if w.types&tObject == 0 || len(r.patterns) == 0 {
		return nil
	}
	names := sorted(c.mentions(w).names)
	for _, pattern := range sorted(r.patterns) {
		sub := r.patterns[pattern]
		for _, name := range names {
			if !c.spend(1) {
				return append(problems, tooMuch())
			}
			if c.match(pattern, name) != no {
				problems = append(problems, c.below(dot(name), c.field(w, name), sub)...)
			}
		}
		problems = append(problems, c.below("{"+short(pattern)+"}", c.matching(w, pattern), sub)...)
	}
	return problems
}

func (c *comparison) readsRemainders(w *claim, r *node) (problems []schema.Problem) {
	if w.types&tObject == 0 {
		return nil
	}
	for _, rest := range c.remaindersOf(r, true) {
		of := c.mentions(w)
		for _, name := range sorted(of.names) {
			if c.covers(rest.covered, name) != yes {
				problems = append(problems, c.removed(w, name, rest.of)...)
			}
		}
		for _, pattern := range sorted(of.patterns) {
			if rest.covered.patterns[pattern] == nil {
				problems = append(problems, c.below("{"+short(pattern)+"}", c.matching(w, pattern), rest.of)...)
			}
		}
		problems = append(problems, c.closed(w, rest.of)...)
	}
	return problems
}

// removed is about a field of the writer's that the reader has no longer by name.
func (c *comparison) removed(w *claim, name string, rest *node) []schema.Problem {
	problems := c.below(dot(name), c.field(w, name), rest)
	if len(problems) > 0 && rest.never {
		return c.at(dot(name), one("was removed from a closed object, and has been written", "keep it, or open the object"))
	}
	return problems
}

// closed is about the fields that neither has by name.
func (c *comparison) closed(w *claim, rest *node) []schema.Problem {
	problems := c.below("{}", c.others(w), rest)
	if len(problems) > 0 && rest.never {
		return one("is closed now, and a writer may have put other fields in it", "leave it open")
	}
	return problems
}

func (c *comparison) readsNames(w *claim, r *node) (problems []schema.Problem) {
	if w.types&tObject == 0 || r.names == nil {
		return nil
	}
	var known []*node
	for _, n := range w.all {
		if n.names != nil {
			known = append(known, n.names)
		}
	}
	of := c.mentions(w)
	for _, name := range sorted(of.names) {
		if !c.none(c.field(w, name)) {
			is := c.exactly(&value{kind: tString, text: name})
			problems = append(problems, c.below(dot(name), c.claim(append(slices.Clip(known), is)...), r.names)...)
		}
	}
	open := !c.none(c.others(w))
	for _, pattern := range sorted(of.patterns) {
		open = open || !c.none(c.matching(w, pattern))
	}
	if open {
		any := c.typed(c.claim(known...), tString)
		problems = append(problems, c.below("{}", any, r.names)...)
	}
	for i := range problems {
		problems[i].Says = "has a name that " + strings.TrimPrefix(problems[i].Says, "has a name that ")
	}
	return problems
}

// readsDependents asks about the values that have the field.
func (c *comparison) readsDependents(w *claim, r *node) (problems []schema.Problem) {
	if w.types&tObject == 0 {
		return nil
	}
	w = c.typed(w, tObject)
	for _, name := range sorted(r.dependentRequired) {
		for _, needed := range r.dependentRequired[name] {
			for _, p := range c.implies(c.with(w, c.requiring(name)), c.requiring(needed)) {
				p.Says += ", where there is " + short(name)
				problems = append(problems, p)
			}
		}
	}
	for _, name := range sorted(r.dependentSchemas) {
		problems = append(problems, c.implies(c.with(w, c.requiring(name)), r.dependentSchemas[name])...)
	}
	return problems
}
