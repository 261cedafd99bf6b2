package avro

import (
	"fmt"
	"strings"

	"github.com/asof-dev/asof/es/schema"
)

// branches compares each branch that may have been written with what the reader reads it by.
func (c *comparison) branches(at *schema.Place, r, w *node) {
	for _, branch := range w.branches {
		c.left -= len(r.branches)
		if c.left < 0 {
			return
		}
		if by := r.readerOf(branch); by != nil {
			c.compare(at, by, branch)
		} else {
			c.problem(at, "keep it among the types", "does not take %s any more (it was %s)", branch, w)
		}
	}
}

// readerOf is what reads a branch of a writer's union: the type itself, or a branch of it.
func (n *node) readerOf(branch *node) *node {
	switch {
	case n.kind == "union":
		return n.branchFor(branch)
	case n.kind == branch.kind || promotes(branch.kind, n.kind):
		return n
	}
	return nil
}

// branchFor is the branch of a reader's union that reads a type: of the same name, or else of
// the same name in another namespace, or else the first that it promotes to.
func (n *node) branchFor(w *node) *node {
	var near, wider *node
	for _, branch := range n.branches {
		switch {
		case branch.kind == w.kind && branch.size == w.size && branch.isNamed(w):
			return branch
		case branch.kind == w.kind && branch.size == w.size:
			if near == nil && branch.shortName() == w.shortName() {
				near = branch
			}
		case wider == nil && promotes(w.kind, branch.kind):
			wider = branch
		}
	}
	if near != nil {
		return near
	}
	return wider
}

// String is the type as people name it.
func (n *node) String() string {
	const deepest = 3
	return n.text(deepest)
}

func (n *node) text(deeper int) string {
	switch {
	case n.logical.name != "":
		return n.logical.String()
	case n.kind == "fixed":
		return fmt.Sprintf("fixed %s of %d bytes", n.shortName(), n.size)
	case n.fullName != "":
		return n.kind + " " + n.shortName()
	case deeper == 0:
		return "…"
	case n.items != nil:
		return n.kind + " of " + n.items.text(deeper-1)
	case n.kind == "union":
		return n.unionText(deeper)
	}
	return n.kind
}

// unionText names the first few of the branches.
func (n *node) unionText(deeper int) string {
	const most = 5
	var names []string
	for _, branch := range n.branches {
		if len(names) == most {
			return strings.Join(names, ", ") + " or another"
		}
		names = append(names, branch.text(deeper-1))
	}
	return strings.Join(names, " or ")
}
