package jsonschema

import (
	"math/big"
	"strings"

	"github.com/asof-dev/asof/es/schema"
)

// rule lists why a claim may not be valid by some keywords of the reader's schema.
type rule struct {
	check  func(c *comparison, w *claim, r *node) []schema.Problem
	whole  bool // cases are gone into below it
	byType bool // it may hold of each type where it does not hold of all
}

func rules() []rule {
	return []rule{
		{check: (*comparison).readsRef, whole: true},
		{check: (*comparison).readsNothing, byType: true},
		{check: (*comparison).readsTypes},
		{check: (*comparison).readsValues},
		{check: (*comparison).readsLimits},
		{check: (*comparison).readsMultiples},
		{check: (*comparison).readsCounts},
		{check: (*comparison).readsTexts},
		{check: (*comparison).readsRequired},
		{check: (*comparison).readsProperties},
		{check: (*comparison).readsPatterns},
		{check: (*comparison).readsRemainders},
		{check: (*comparison).readsNames},
		{check: (*comparison).readsDependents, whole: true},
		{check: (*comparison).readsItems},
		{check: (*comparison).readsUnique},
		{check: (*comparison).readsContains},
		{check: (*comparison).readsAnyOf, byType: true},
		{check: (*comparison).readsOneOf, byType: true},
		{check: (*comparison).readsConditions, whole: true},
	}
}

const addField = "add a new field"

func one(says, cure string) []schema.Problem { return []schema.Problem{{Says: says, Cure: cure}} }

func (c *comparison) readsRef(w *claim, r *node) (problems []schema.Problem) {
	if r.opaque != "" {
		problems = one("has a "+r.opaque+" whose meaning depends on where it is reached from", "use $ref")
	}
	if r.ref != nil {
		problems = append(problems, c.implies(w, r.ref)...)
	}
	for _, sub := range r.allOf {
		problems = append(problems, c.implies(w, sub)...)
	}
	return problems
}

func (c *comparison) readsNothing(_ *claim, r *node) []schema.Problem {
	if !r.never {
		return nil
	}
	return one("is refused now, whatever it is", "leave it as it was")
}

func (c *comparison) readsTypes(w *claim, r *node) []schema.Problem {
	switch lost := w.types &^ r.types; {
	case lost == 0:
		return nil
	case w.types == tAny || w.types&r.types == 0 || w.types == tNumber:
		return one("became "+r.types.String()+" (it was "+w.types.String()+")", addField)
	default:
		return one("lost the type "+lost.String(), "keep the type, or "+addField)
	}
}

func (c *comparison) readsValues(w *claim, r *node) (problems []schema.Problem) {
	for _, list := range [][]*value{r.enum, r.constant} {
		if list == nil {
			continue
		}
		c.spend(len(list))
		takes := set(list)
		values, finite := c.values(w)
		if !finite {
			problems = append(problems, one("may only be "+listed(list)+" now", "take the enum or const back, or "+addField)...)
		}
		for _, v := range values {
			if !takes[v.canonical()] {
				problems = append(problems, one("lost the value "+v.shown(), "keep the value: it has been written")...)
			}
		}
	}
	return problems
}

func listed(values []*value) string {
	if len(values) == 0 {
		return "nothing"
	}
	const most = 5
	var texts []string
	for i, v := range values {
		if i == most {
			texts = append(texts, "…")
			break
		}
		texts = append(texts, v.shown())
	}
	return strings.Join(texts, " or ")
}

func (c *comparison) readsLimits(w *claim, r *node) (problems []schema.Problem) {
	if w.types&tNumber == 0 {
		return nil
	}
	for _, sign := range []int{+1, -1} {
		mine, theirs := r.limit(sign), w.limit(sign)
		if mine == nil || theirs != nil && tighter(theirs, mine, sign) == theirs || sameLimit(mine, theirs) {
			continue
		}
		problems = append(problems, one(name(sign)+" became "+mine.String()+" (it was "+theirs.String()+")", "keep the limit as wide as it was, or "+addField)...)
	}
	return problems
}

func name(sign int) string {
	if sign > 0 {
		return "has a minimum that"
	}
	return "has a maximum that"
}

func sameLimit(a, b *limit) bool {
	return a != nil && b != nil && a.at.Cmp(b.at) == 0 && a.open == b.open
}

func (l *limit) String() string {
	switch {
	case l == nil:
		return "none"
	case l.open:
		return decimal(l.at) + ", exclusive"
	}
	return decimal(l.at)
}

// decimal is a number as people write it.
func decimal(n *big.Rat) string {
	digits, _ := n.FloatPrec()
	return short(n.FloatString(digits))
}

func (c *comparison) readsMultiples(w *claim, r *node) []schema.Problem {
	if r.multipleOf == nil || w.types&tNumber == 0 {
		return nil
	}
	multiple := func(of *big.Rat) bool { return new(big.Rat).Quo(of, r.multipleOf).IsInt() }
	was := "anything"
	for _, n := range w.all {
		if n.multipleOf != nil {
			if multiple(n.multipleOf) {
				return nil
			}
			was = decimal(n.multipleOf)
		}
	}
	if w.types&tFraction == 0 && multiple(big.NewRat(1, 1)) {
		return nil
	}
	return one("became a multiple of "+decimal(r.multipleOf)+" (it was of "+was+")", "take multipleOf back, or "+addField)
}

func (c *comparison) readsTexts(w *claim, r *node) (problems []schema.Problem) {
	if r.pattern != nil && w.types&tString != 0 && !c.hasPattern(w, *r.pattern) {
		problems = one("got the pattern "+short(*r.pattern)+", which may not match what was written", "keep the text of the pattern, or "+addField)
	}
	if r.format == nil {
		return problems
	}
	was := "none"
	for _, n := range w.all {
		if n.format != nil {
			if *n.format == *r.format && (n.asserts || !r.asserts) {
				return problems
			}
			if was = short(*n.format); *n.format == *r.format {
				was = "a note, in its draft"
			}
		}
	}
	return append(problems, one("has the format "+short(*r.format)+" (it was "+was+")", "keep the format, or "+addField)...)
}

func (c *comparison) hasPattern(w *claim, pattern string) bool {
	for _, n := range w.all {
		if n.pattern != nil && *n.pattern == pattern {
			return true
		}
	}
	v := w.only()
	return v != nil && c.match(pattern, v.text) == yes
}
