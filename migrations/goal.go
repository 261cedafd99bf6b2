package migrations

import (
	"fmt"
	"maps"
	"slices"
)

// goal is where a set shall go: up to its newest version, or down to an older one.
type goal struct {
	plan
	up bool
	to int64 // down to
}

// next is the one file that is to be done now, nil when the goal is reached.
func (g goal) next(s state) (*file, error) {
	if g.up {
		return g.pending(s)
	}
	return g.last(s)
}

// pending is the first file that is not applied.
func (g goal) pending(s state) (*file, error) {
	for i := range g.files {
		f := &g.files[i]
		if own := s.rows[f.version]; own.Applied {
			continue
		} else if own.unfinished() {
			return nil, g.unfinished(own)
		}
		for _, version := range slices.Sorted(maps.Keys(s.rows)) {
			if r := s.rows[version]; r.Applied && version > f.version {
				return nil, otherSet("%s is not applied in schema %s, and the later %s is: give it a higher number, and each set a schema of its own", f.name, g.schema, r.title())
			}
		}
		return f, nil
	}
	return nil, nil
}

// last is the last file that is applied.
func (g goal) last(s state) (*file, error) {
	for _, version := range slices.Backward(slices.Sorted(maps.Keys(s.rows))) {
		r := s.rows[version]
		if version > g.to && r.unfinished() {
			return nil, g.unfinished(r)
		}
		if version <= g.to || !r.Applied {
			continue
		}
		f := g.file(version)
		if f == nil {
			return nil, invalid("%s is applied in schema %s, and this program does not have it: take it back with the program that does", r.title(), g.schema)
		}
		return f, nil
	}
	return nil, nil
}

// unfinished says what somebody has to do about a file.
func (g goal) unfinished(r row) error {
	return &problem{ErrUnfinished, fmt.Sprintf("%s runs outside a transaction, was begun in schema %s and did not finish, so that a part of it may be done: %s", r.Name, g.schema, g.mend(r.Version))}
}

func (g goal) mend(version int64) string {
	return fmt.Sprintf("look at what it did; when nothing of it is there: delete from %s where version_id = %d; when all is: update %[1]s set is_applied = true where version_id = %[2]d", g.table, version)
}
