package jsonschema

import "maps"

// remainder is a schema of the fields that are not covered: additionalProperties, or
// unevaluatedProperties.
type remainder struct {
	of      *node
	covered cover
}

// cover is the fields that some keywords speak of.
type cover struct {
	all      bool
	names    map[string]*node
	patterns map[string]*node
}

// remainders are those of a node. What unevaluatedProperties leaves depends on which of the
// alternatives a value fits. For a reader (strict) none counts, so that it is about more
// fields than it may be; for a writer each does.
func (n *node) remainders(strict bool) (list []remainder) {
	own := cover{names: n.properties, patterns: n.patterns}
	if n.additional != nil {
		list = append(list, remainder{n.additional, own})
	}
	if n.closing == nil || n.additional != nil {
		return list
	}
	evaluated := cover{names: map[string]*node{}, patterns: map[string]*node{}}
	evaluated.add(n, n, strict, map[*node]bool{})
	if evaluated.all {
		return list
	}
	return append(list, remainder{n.closing, evaluated})
}

func (e *cover) add(n, root *node, strict bool, seen map[*node]bool) {
	if n == nil || seen[n] {
		return
	}
	seen[n] = true
	maps.Copy(e.names, n.properties)
	maps.Copy(e.patterns, n.patterns)
	e.all = e.all || n != root && (n.additional != nil || n.closing != nil) || !strict && n.opaque != ""
	for _, sub := range n.inPlace(strict) {
		e.add(sub, root, strict, seen)
	}
}

// inPlace are the schemas that apply to the same value: always (strict), or perhaps.
func (n *node) inPlace(strict bool) []*node {
	list := append([]*node{n.ref}, n.allOf...)
	if strict {
		return list
	}
	list = append(list, n.cond, n.then, n.els)
	list = append(append(list, n.anyOf...), n.oneOf...)
	for _, sub := range n.dependentSchemas {
		list = append(list, sub)
	}
	return list
}

// covers tells whether a name is covered.
func (c *comparison) covers(e cover, name string) verdict {
	if _, named := e.names[name]; named || e.all {
		return yes
	}
	is := no
	for pattern := range e.patterns {
		if !c.spend(1) {
			return unknown
		}
		switch c.match(pattern, name) {
		case yes:
			return yes
		case unknown:
			is = unknown
		case no:
		}
	}
	return is
}

// field is what a claim says of a field, if it is there.
func (c *comparison) field(w *claim, name string) *claim {
	var known []*node
	for _, n := range w.all {
		if sub := n.properties[name]; sub != nil {
			known = append(known, sub)
		}
		for pattern, sub := range n.patterns {
			if c.spend(1) && c.match(pattern, name) == yes {
				known = append(known, sub)
			}
		}
		for _, rest := range c.remaindersOf(n, false) {
			if c.covers(rest.covered, name) == no {
				known = append(known, rest.of)
			}
		}
		if n.names != nil && c.none(c.claim(n.names, c.exactly(&value{kind: tString, text: name}))) {
			known = append(known, c.never)
		}
	}
	return c.claim(known...)
}

// mentions are the names and the patterns that a claim speaks of.
func (c *comparison) mentions(w *claim) cover {
	of := cover{names: map[string]*node{}, patterns: map[string]*node{}}
	for _, n := range w.all {
		c.spend(len(n.properties) + len(n.patterns))
		maps.Copy(of.names, n.properties)
		maps.Copy(of.patterns, n.patterns)
		for _, rest := range c.remaindersOf(n, false) {
			c.spend(len(rest.covered.names) + len(rest.covered.patterns))
			maps.Copy(of.names, rest.covered.names)
			maps.Copy(of.patterns, rest.covered.patterns)
		}
	}
	return of
}

// matching is what a claim says of fields whose names match a pattern, and are not mentioned.
func (c *comparison) matching(w *claim, pattern string) *claim {
	var known []*node
	for _, n := range w.all {
		if sub := n.patterns[pattern]; sub != nil {
			known = append(known, sub)
		}
		for _, rest := range c.remaindersOf(n, false) {
			if len(rest.covered.patterns) == 0 {
				known = append(known, rest.of)
			}
		}
	}
	return c.claim(known...)
}

// others is what a claim says of fields that are not mentioned, and match no pattern of it.
func (c *comparison) others(w *claim) *claim {
	var known []*node
	for _, n := range w.all {
		for _, rest := range c.remaindersOf(n, false) {
			known = append(known, rest.of)
		}
	}
	return c.claim(known...)
}

type remaindersKey struct {
	n      *node
	strict bool
}

func (c *comparison) remaindersOf(n *node, strict bool) []remainder {
	if n.additional == nil && n.closing == nil {
		return nil
	}
	key := remaindersKey{n, strict}
	list, known := c.rests[key]
	if !known {
		list = n.remainders(strict)
		for _, rest := range list {
			c.spend(len(rest.covered.names) + len(rest.covered.patterns))
		}
		c.rests[key] = list
	}
	return list
}
