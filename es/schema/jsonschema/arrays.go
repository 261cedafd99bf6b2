package jsonschema

import (
	"math/big"
	"strconv"

	"github.com/asof-dev/asof/es/schema"
)

// item is what a claim says of the item at a place, if it is there.
func (c *comparison) item(w *claim, i int) *claim {
	var known []*node
	for _, n := range w.all {
		switch {
		case i < len(n.prefix):
			known = append(known, n.prefix[i])
		case n.rest != nil:
			known = append(known, n.rest)
		case n.unevaluatedItems != nil && !n.applies() && n.contains == nil:
			known = append(known, n.unevaluatedItems)
		}
	}
	if most := w.count(maxItems); most != nil && most.Cmp(big.NewRat(int64(i), 1)) <= 0 {
		known = append(known, c.never)
	}
	return c.claim(known...)
}

// listed is up to which place items differ from those that follow.
func (w *claim) listed() (most int) {
	for _, n := range w.all {
		most = max(most, len(n.prefix))
	}
	return most
}

func (c *comparison) readsItems(w *claim, r *node) (problems []schema.Problem) {
	if w.types&tArray == 0 {
		return nil
	}
	at := func(i int, sub *node) {
		problems = append(problems, c.below("["+strconv.Itoa(i)+"]", c.item(w, i), sub)...)
	}
	for i, sub := range r.prefix {
		at(i, sub)
	}
	rest := r.rest
	if rest == nil {
		rest = r.unevaluatedItems // which is about fewer items at most
	}
	if rest == nil {
		return problems
	}
	last := max(w.listed(), len(r.prefix))
	for i := len(r.prefix); i < last; i++ {
		at(i, rest)
	}
	of := c.below("[]", c.item(w, last), rest)
	if len(of) > 0 && rest.never {
		of = one("is closed now, and a writer may have put more items in it", "leave it open")
	}
	return append(problems, of...)
}

func (c *comparison) readsUnique(w *claim, r *node) []schema.Problem {
	if !r.unique || w.types&tArray == 0 {
		return nil
	}
	for _, n := range w.all {
		if n.unique {
			return nil
		}
	}
	if most := w.count(maxItems); most != nil && most.Cmp(big.NewRat(1, 1)) <= 0 {
		return nil
	}
	return one("has to have unique items now", "take uniqueItems back, or "+addField)
}

func (c *comparison) readsContains(w *claim, r *node) (problems []schema.Problem) {
	if r.contains == nil || w.types&tArray == 0 {
		return nil
	}
	if least := r.leastContained(); !c.containsLeast(w, r.contains, least) {
		problems = one("has to contain "+decimal(least)+" of what contains says now", "take contains back, or "+addField)
	}
	if r.maxContains != nil && !c.containsMost(w, r.contains, r.maxContains) {
		problems = append(problems, one("may contain no more than "+decimal(r.maxContains)+" of what contains says now",
			"take maxContains back, or "+addField)...)
	}
	return problems
}

func (n *node) leastContained() *big.Rat {
	if n.minContains != nil {
		return n.minContains
	}
	return big.NewRat(1, 1)
}

// containsLeast tells that so many items are what is asked for: as the writer's contains says,
// or because the first of them all are.
func (c *comparison) containsLeast(w *claim, what *node, least *big.Rat) bool {
	if least.Sign() == 0 {
		return true
	}
	for _, n := range w.all {
		if n.contains != nil && n.leastContained().Cmp(least) >= 0 && len(c.below("", c.claim(n.contains), what)) == 0 {
			return true
		}
	}
	items := w.count(minItems)
	if items == nil || items.Cmp(least) < 0 {
		return false
	}
	differ := w.listed() + 1
	for i := 0; i < differ && big.NewRat(int64(i), 1).Cmp(least) < 0; i++ {
		if len(c.below("", c.item(w, i), what)) > 0 {
			return false
		}
	}
	return true
}

func (c *comparison) containsMost(w *claim, what *node, most *big.Rat) bool {
	if items := w.count(maxItems); items != nil && items.Cmp(most) <= 0 {
		return true
	}
	for _, n := range w.all {
		if n.contains != nil && n.maxContains != nil && n.maxContains.Cmp(most) <= 0 &&
			len(c.below("", c.claim(what), n.contains)) == 0 {
			return true
		}
	}
	return false
}
