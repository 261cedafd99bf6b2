package jsonschema

import "math/big"

// exactly is a schema of one value, which says all that is true of it.
func (c *comparison) exactly(v *value) *node {
	key := v.canonical()
	if n, known := c.exact[key]; known {
		return n
	}
	n := c.add()
	c.exact[key] = n
	n.only, n.constant, n.types, n.could = v, []*value{v}, v.types(), v.types()
	size := func(least, most quantity, of int) {
		n.counts[least] = big.NewRat(int64(of), 1)
		n.counts[most] = n.counts[least]
	}
	switch v.kind {
	case tNumber:
		n.multipleOf = v.number()
		n.minimum = &limit{at: n.multipleOf}
		n.maximum = n.minimum
	case tString:
		size(minLength, maxLength, len([]rune(v.text)))
	case tArray:
		size(minItems, maxItems, len(v.list))
		n.unique = len(set(v.list)) == len(v.list)
		for _, item := range v.list {
			n.prefix = append(n.prefix, c.exactly(item))
		}
		n.rest = c.never
	case tObject:
		size(minProperties, maxProperties, len(v.names))
		n.required, n.properties, n.additional = v.names, map[string]*node{}, c.never
		for name, field := range v.fields {
			n.properties[name] = c.exactly(field)
		}
	default: // null and the booleans have no size
	}
	return n
}

// requiring is a schema that requires a field.
func (c *comparison) requiring(name string) *node {
	n, known := c.requires[name]
	if !known {
		n = c.add()
		n.required = []string{name}
		c.requires[name] = n
	}
	return n
}

// add adds a schema that neither text has.
func (c *comparison) add() *node {
	n := c.graph.add()
	n.class = -n.id
	return n
}
