package jsonschema

import (
	"fmt"
	"strconv"
)

// readRef follows a reference. What a dynamic one leads to is known when one place alone has
// the name, as it is in schemas that nothing extends.
func (r *reading) readRef() (err error) {
	_, anchor, _ := resolve("", r.v.text)
	static := r.keyword == "$ref" || r.keyword == "$recursiveRef" && !r.recursive || r.keyword == "$dynamicRef" && r.dynamic[anchor] < 2
	target, err := r.target(r.v, r.base)
	if err != nil {
		return err
	}
	r.below("$ref", target)
	switch {
	case !static:
		r.n.opaque = r.keyword
	case r.n.ref == nil:
		r.n.ref = target
	default: // two kinds of references in one schema
		r.n.allOf = append(r.n.allOf, target)
	}
	return nil
}

func (r *reading) readMap() error {
	if r.v.kind != tObject {
		return r.wants("an object")
	}
	into := map[string]*node{}
	for _, name := range r.v.names {
		v := r.v.fields[name]
		if r.keyword == "dependencies" && v.kind == tArray {
			r.n.local = append(r.n.local, ("dependentRequired" + strconv.Quote(name) + v.canonical())...)
			if err := r.depends(name); err != nil {
				return err
			}
			continue
		}
		sub, err := r.sub(r.keyword+strconv.Quote(name), v)
		if err != nil {
			return err
		}
		into[name] = sub
	}
	switch r.keyword {
	case "properties":
		r.n.properties = into
	case "patternProperties":
		r.n.patterns = into
	default: // a validator applies both
		r.addDependents(into)
	}
	return nil
}

func (r *reading) addDependents(more map[string]*node) {
	if r.n.dependentSchemas == nil {
		r.n.dependentSchemas = map[string]*node{}
	}
	for name, sub := range more {
		if other := r.n.dependentSchemas[name]; other != nil {
			both := r.g.add()
			both.allOf = []*node{other, sub}
			both.local = fmt.Append(nil, "both", both.id)
			sub = both
		}
		r.n.dependentSchemas[name] = sub
	}
}

func (r *reading) readList() error {
	if r.keyword == "items" && r.v.kind != tArray {
		return r.readOne()
	}
	if r.keyword == "items" && r.draft >= 2020 {
		return r.wants("a schema: since 2020-12 a list is prefixItems (a schema without $schema is of 2020-12)")
	}
	if r.v.kind != tArray {
		return r.wants("a list")
	}
	var list []*node
	for i, v := range r.v.list {
		sub, err := r.sub(fmt.Sprint(r.keyword, i), v)
		if err != nil {
			return err
		}
		list = append(list, sub)
	}
	switch r.keyword {
	case "allOf":
		r.n.allOf = append(r.n.allOf, list...)
	case "anyOf":
		r.n.anyOf = list
	case "oneOf":
		r.n.oneOf = list
	default:
		r.n.prefix = list
	}
	if len(list) == 0 && r.keyword != "items" && r.keyword != "prefixItems" {
		return r.wants("one schema at least")
	}
	return nil
}

// readOne reads a keyword that holds one schema. Others are notes.
func (r *reading) readOne() (err error) {
	n := r.n
	into := map[string]**node{
		"additionalProperties": &n.additional, "unevaluatedProperties": &n.closing, "propertyNames": &n.names,
		"items": &n.rest, "unevaluatedItems": &n.unevaluatedItems, "contains": &n.contains,
		"not": &n.not, "if": &n.cond, "then": &n.then, "else": &n.els,
	}[r.keyword]
	if r.keyword == "additionalItems" {
		if items := r.v.above.fields["items"]; items == nil || items.kind != tArray {
			return nil
		}
		into = &n.rest
	}
	if into == nil {
		return nil
	}
	*into, err = r.sub(r.keyword, r.v)
	return err
}

func (r *reading) sub(label string, v *value) (*node, error) {
	sub, err := r.schema(v, r.baseOf(v, r.base))
	if err == nil {
		r.below(label, sub)
	}
	return sub, err
}

func (r *reading) below(label string, sub *node) {
	r.n.local = append(r.n.local, (label + ";")...)
	r.n.subs = append(r.n.subs, sub)
}
