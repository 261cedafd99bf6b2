package jsonschema

import (
	"math/big"
	"slices"
	"strconv"
)

// reading is a keyword of a node that is being read.
type reading struct {
	*document
	n       *node
	base    string
	keyword string
	v       *value // what it says
}

// readNode reads what a schema says. What is below it is read later.
func (d *document) readNode(p place) error {
	if p.v.kind == tBoolean {
		p.n.never, p.n.local = !p.v.truth, strconv.AppendBool(nil, p.v.truth)
		if p.n.never {
			p.n.could = 0
		}
		return nil
	}
	names := p.v.names
	if d.refAlone(p.v) {
		names = []string{"$ref"}
	}
	for _, keyword := range names {
		r := reading{d, p.n, p.base, keyword, p.v.fields[keyword]}
		if !d.knows(keyword) {
			continue
		}
		if err := r.read(); err != nil {
			return err
		}
	}
	if p.n.closing != nil || p.n.unevaluatedItems != nil { // what counts as evaluated differs
		p.n.local = append(p.n.local, (strconv.Itoa(d.draft))...)
	}
	if p.n.asserts = d.draft < 2019; p.n.asserts && p.n.format != nil {
		p.n.local = append(p.n.local, ("asserted")...)
	}
	p.n.hasDefault = p.v.fields["default"] != nil
	p.n.settle(p.v)
	return nil
}

// settle concludes from several keywords.
func (n *node) settle(v *value) {
	exclusive := func(l *limit, keyword string) {
		if e := v.fields[keyword]; l != nil && e != nil && e.kind == tBoolean {
			l.open = e.truth
		}
	}
	exclusive(n.minimum, "exclusiveMinimum")
	exclusive(n.maximum, "exclusiveMaximum")
	n.could = n.types
	for _, list := range [][]*value{n.enum, n.constant} {
		if list == nil {
			continue
		}
		var of mask
		for _, v := range list {
			of |= v.types()
		}
		n.could &= of
	}
	if n.multipleOf != nil && n.multipleOf.IsInt() {
		n.could &^= tFraction
	}
}

func (r *reading) read() error {
	switch r.keyword {
	case "enum", "const", "type", "pattern", "format", "multipleOf", "uniqueItems",
		"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minContains", "maxContains",
		"required", "dependentRequired":
		r.n.local = append(r.n.local, (r.keyword + r.v.canonical())...)
		return r.readPlain()
	case "$ref", "$dynamicRef", "$recursiveRef":
		return r.readRef()
	case "properties", "patternProperties", "dependentSchemas", "dependencies":
		return r.readMap()
	case "allOf", "anyOf", "oneOf", "prefixItems", "items":
		return r.readList()
	}
	for q := range counts {
		if q.keyword() == r.keyword {
			r.n.local = append(r.n.local, (r.keyword + r.v.canonical())...)
			return r.count(&r.n.counts[q])
		}
	}
	return r.readOne()
}

func (r *reading) readPlain() error {
	n := r.n
	switch r.keyword {
	case "enum":
		if r.v.kind != tArray {
			return r.wants("a list")
		}
		n.enum = append([]*value{}, r.v.list...)
	case "const":
		n.constant = []*value{r.v}
	case "type":
		return r.readTypes()
	case "pattern":
		return r.text(&n.pattern)
	case "format":
		return r.text(&n.format)
	case "uniqueItems":
		if r.v.kind != tBoolean {
			return r.wants("true or false")
		}
		n.unique = r.v.truth
	case "minContains":
		return r.count(&n.minContains)
	case "maxContains":
		return r.count(&n.maxContains)
	case "required":
		return r.strings(r.v, &n.required)
	case "dependentRequired":
		return r.readDependentRequired()
	default:
		return r.readNumber()
	}
	return nil
}

func (r *reading) readNumber() error {
	lower := r.keyword == "minimum" || r.keyword == "exclusiveMinimum"
	exclusive := r.keyword == "exclusiveMinimum" || r.keyword == "exclusiveMaximum"
	if exclusive && r.draft == 4 {
		if r.v.kind != tBoolean {
			return r.wants("true or false in draft 4")
		}
		return nil // see settle
	}
	if r.v.kind != tNumber {
		return r.wants("a number")
	}
	switch at := r.v.number(); {
	case r.keyword == "multipleOf" && at.Sign() <= 0:
		return r.wants("a number above 0")
	case r.keyword == "multipleOf":
		r.n.multipleOf = at
	case lower:
		r.n.minimum = tighter(r.n.minimum, &limit{at, exclusive}, +1)
	default:
		r.n.maximum = tighter(r.n.maximum, &limit{at, exclusive}, -1)
	}
	return nil
}

// tighter is the one of two limits that lets less pass: the higher with the sign +1, the
// lower with -1. Either may be nil.
func tighter(a, b *limit, sign int) *limit {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	if cmp := sign * a.at.Cmp(b.at); cmp > 0 || cmp == 0 && a.open {
		return a
	}
	return b
}

func (r *reading) readTypes() error {
	list := r.v.list
	if r.v.kind == tString {
		list = []*value{r.v}
	}
	if len(list) == 0 {
		return r.wants("a type, or a list of some")
	}
	r.n.types = 0
	for _, name := range list {
		t, known := typeNamed(name.text)
		if !known || name.kind != tString {
			return name.errorf("%s is no type: use null, boolean, integer, number, string, array or object", name.shown())
		}
		r.n.types |= t
	}
	return nil
}

func (r *reading) readDependentRequired() error {
	if r.v.kind != tObject {
		return r.wants("an object")
	}
	for _, name := range r.v.names {
		if err := r.depends(name); err != nil {
			return err
		}
	}
	return nil
}

// depends reads the names that a field requires.
func (r *reading) depends(name string) error {
	if r.n.dependentRequired == nil {
		r.n.dependentRequired = map[string][]string{}
	}
	var names []string
	err := r.strings(r.v.fields[name], &names)
	r.n.dependentRequired[name] = append(r.n.dependentRequired[name], names...)
	return err
}

func (r *reading) wants(what string) error {
	return r.v.errorf("%s is %s: give %s", r.keyword, r.v.shown(), what)
}

func (r *reading) text(into **string) error {
	if r.v.kind != tString {
		return r.wants("a string")
	}
	*into = &r.v.text
	return nil
}

func (r *reading) count(into **big.Rat) error {
	if r.v.kind != tNumber || !r.v.number().IsInt() || r.v.number().Sign() < 0 {
		return r.wants("a whole number from 0")
	}
	*into = r.v.number()
	return nil
}

func (r *reading) strings(list *value, into *[]string) error {
	if list.kind != tArray {
		return list.errorf("%s is %s: give a list of names", r.keyword, list.shown())
	}
	for _, v := range list.list {
		if v.kind != tString {
			return v.errorf("%s is %s: give a name", r.keyword, v.shown())
		}
		*into = append(*into, v.text)
	}
	slices.Sort(*into)
	*into = slices.Compact(*into)
	return nil
}
