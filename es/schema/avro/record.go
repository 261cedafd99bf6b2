package avro

import (
	"strings"

	"github.com/asof-dev/asof/es/schema"
)

// fields compares the fields of two records: each field of the reader's is read of that of the
// writer's by the same name, or else by one of its aliases, or is filled by its default.
func (c *comparison) fields(at *schema.Place, r, w *node) {
	c.left -= len(r.fields) + len(w.fields)
	if c.left < 0 {
		return
	}
	written, unread := r.match(w)
	for i, f := range r.fields {
		of := at.Below(f.name)
		switch from := written[i]; {
		case len(from) > 1:
			c.problem(of, "take the alias away", "is read of %s and of %s: one value is lost", from[0].name, from[1].name)
		case len(from) == 1:
			c.compare(of, f.of, from[0].of)
		case !f.hasDefault:
			c.problem(of, cureOfNew(unread), "is new and has no default")
		}
	}
}

// cureOfNew is for a field without a default. When something was written that is not read, the
// field may be that, by another name.
func cureOfNew(unread []string) string {
	const most = 3
	switch {
	case len(unread) == 0:
		return "give it a default"
	case len(unread) > most:
		return "give it a default, or, if it was renamed, keep the old name as an alias"
	}
	return "give it a default, or, if it was renamed, keep the old name as an alias (" + strings.Join(unread, " or ") + ")"
}

// match finds the fields of the writer's that each of the reader's is read of, by its index,
// and the names of those that are read by none. No name is an alias too: that is no schema.
func (n *node) match(w *node) (written [][]field, unread []string) {
	index := map[string]int{}
	for i, f := range n.fields {
		index[f.name] = i
		for _, alias := range f.aliases {
			index[alias] = i
		}
	}
	written = make([][]field, len(n.fields))
	for _, f := range w.fields {
		if i, found := index[f.name]; found {
			written[i] = append(written[i], f)
		} else {
			unread = append(unread, f.name)
		}
	}
	return written, unread
}
