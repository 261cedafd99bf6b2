package avro

import (
	"slices"

	"github.com/asof-dev/asof/es/schema"
)

// beyond finds a field of what was written that the reader does not have; none is empty. It is
// for schemas of which one reads the other.
func beyond(at *schema.Place, r, w *node, seen map[pair]bool) string {
	if r == nil || seen[pair{r, w}] {
		return ""
	}
	seen[pair{r, w}] = true
	switch {
	case w.kind == "union":
		for _, branch := range w.branches {
			if path := beyond(at, r.readerOf(branch), branch, seen); path != "" {
				return path
			}
		}
		return ""
	case r.kind == "union":
		return beyond(at, r.branchFor(w), w, seen)
	case r.kind != w.kind:
		return ""
	case r.kind == "array":
		return beyond(at.Below("[]"), r.items, w.items, seen)
	case r.kind == "map":
		return beyond(at.Below("{}"), r.items, w.items, seen)
	case r.kind == "record":
		return beyondRecord(at, r, w, seen)
	}
	return ""
}

func beyondRecord(at *schema.Place, r, w *node, seen map[pair]bool) string {
	written, unread := r.match(w)
	for _, f := range w.fields {
		if slices.Contains(unread, f.name) {
			return at.Below(f.name).String()
		}
	}
	for i, f := range r.fields {
		for _, from := range written[i] {
			if path := beyond(at.Below(f.name), f.of, from.of, seen); path != "" {
				return path
			}
		}
	}
	return ""
}
