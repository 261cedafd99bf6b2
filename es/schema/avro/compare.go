package avro

import (
	"fmt"

	"github.com/asof-dev/asof/es/schema"
)

// mostSteps bounds a comparison: schemas of a megabyte by hand take less, those that are made
// to take long take more. A pair of types is worth pairSteps, so that the stack is bounded too.
const (
	mostSteps = 20_000_000
	pairSteps = 200
)

// comparison is a walk through two schemas. A pair that is being looked at, or was, is taken
// to fit: what is wrong with it is told once.
type comparison struct {
	problems []schema.Problem
	seen     map[pair]bool
	left     int // steps; less than none ends it
}

type pair struct{ reader, writer *node }

func (c *comparison) problem(at *schema.Place, cure, says string, args ...any) {
	if c.left < 0 {
		return
	}
	path := at.String()
	c.left -= pairSteps + len(path)
	c.problems = append(c.problems, schema.Problem{Path: path, Says: fmt.Sprintf(says, args...), Cure: cure})
}

// compare finds what of the writer's type the reader's cannot read.
func (c *comparison) compare(at *schema.Place, r, w *node) {
	if c.left -= pairSteps; c.left < 0 || c.seen[pair{r, w}] {
		return
	}
	c.seen[pair{r, w}] = true
	switch {
	case w.kind == "union":
		c.branches(at, r, w)
	case r.kind == "union":
		if branch := r.branchFor(w); branch != nil {
			c.compare(at, branch, w)
		} else {
			c.became(at, r, w)
		}
	case r.kind == w.kind:
		c.sameKind(at, r, w)
	case promotes(w.kind, r.kind):
		c.logical(at, r, w)
	default:
		c.became(at, r, w)
	}
}

func (c *comparison) sameKind(at *schema.Place, r, w *node) {
	switch r.kind {
	case "record":
		c.name(at, r, w)
		c.fields(at, r, w)
	case "enum":
		c.name(at, r, w)
		c.symbols(at, r, w)
	case "fixed":
		c.name(at, r, w)
		if r.size != w.size {
			c.became(at, r, w)
			return
		}
		c.logical(at, r, w)
	case "array":
		c.compare(at.Below("[]"), r.items, w.items)
	case "map":
		c.compare(at.Below("{}"), r.items, w.items)
	default:
		c.logical(at, r, w)
	}
}

func (c *comparison) name(at *schema.Place, r, w *node) {
	if !r.isNamed(w) {
		c.problem(at, "keep the old name as an alias", "has the name %s (it was %s)", r.fullName, w.fullName)
	}
}

func (c *comparison) symbols(at *schema.Place, r, w *node) {
	if r.hasDefault {
		return
	}
	known := map[string]bool{}
	for _, symbol := range r.symbols {
		known[symbol] = true
	}
	for _, symbol := range w.symbols {
		if !known[symbol] {
			c.problem(at, "keep it, or give the enum a default", "lost the symbol %s", symbol)
		}
	}
}

func (c *comparison) logical(at *schema.Place, r, w *node) {
	switch {
	case r.logical == w.logical:
	case r.logical.name == "" && (r.kind == w.kind || r.kind != "string"): // it reads what is beneath; no text is beneath a decimal
	case w.logical.name == "" && r.logical.anyValue():
	default:
		c.became(at, r, w)
	}
}

func (c *comparison) became(at *schema.Place, r, w *node) {
	cure := "add a new field"
	if at == nil {
		cure = "keep the type"
	}
	c.problem(at, cure, "became %s (it was %s)", r, w)
}

// promotes is whether a reader of one primitive type reads another.
func promotes(writer, reader string) bool {
	switch writer {
	case "int":
		return reader == "long" || reader == "float" || reader == "double"
	case "long":
		return reader == "float" || reader == "double"
	case "float":
		return reader == "double"
	case "string":
		return reader == "bytes"
	case "bytes":
		return reader == "string"
	}
	return false
}
