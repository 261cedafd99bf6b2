package jsonschema

import (
	"math/big"

	"github.com/asof-dev/asof/es/schema"
)

// quantity is a keyword that bounds a size. Those at even places are the least, each followed
// by the most of the same.
type quantity int

const (
	minLength quantity = iota
	maxLength
	minItems
	maxItems
	minProperties
	maxProperties
	counts
)

// keyword is the quantity's name.
func (q quantity) keyword() string {
	return [counts]string{"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}[q]
}

// of is the type that has it.
func (q quantity) of() mask { return [...]mask{tString, tArray, tObject}[q/2] }

func (q quantity) least() bool { return q%2 == 0 }

// count is the strictest of a claim's, or nil.
func (w *claim) count(q quantity) *big.Rat {
	var of *big.Rat
	take := func(n *big.Rat) {
		if n != nil && (of == nil || q.least() == (n.Cmp(of) > 0)) {
			of = n
		}
	}
	for _, n := range w.all {
		take(n.counts[q])
		if q == maxItems && n.rest != nil && n.rest.never {
			take(big.NewRat(int64(len(n.prefix)), 1))
		}
	}
	if q == minProperties && len(w.required) > 0 {
		take(big.NewRat(int64(len(w.required)), 1))
	}
	return of
}

func (c *comparison) readsCounts(w *claim, r *node) (problems []schema.Problem) {
	for q := range counts {
		mine := r.counts[q]
		if mine == nil || w.types&q.of() == 0 || q.least() && mine.Sign() == 0 {
			continue
		}
		theirs, was := w.count(q), "none"
		if theirs != nil {
			if cmp := theirs.Cmp(mine); cmp == 0 || q.least() == (cmp > 0) {
				continue
			}
			was = decimal(theirs)
		}
		problems = append(problems, one("has a "+q.keyword()+" that became "+decimal(mine)+" (it was "+was+")",
			"keep it as wide as it was, or "+addField)...)
	}
	return problems
}
