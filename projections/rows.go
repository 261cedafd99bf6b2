package projections

import (
	"github.com/asof-dev/asof/es"
)

// row is a row that a batch touches.
type row[R any] struct {
	key    string
	value  *R   // nil: there is none
	stored bool // the table has one
}

// rows are those of one batch, in the order in which they were first touched: the
// order in which they are written is the same each time.
type rows[R any] struct {
	byKey map[string]*row[R]
	list  []*row[R]
}

func newRows[R any, E es.Event](touches []touch[E]) *rows[R] {
	rs := &rows[R]{byKey: make(map[string]*row[R], len(touches))}
	for i := range touches {
		if key := touches[i].key; rs.byKey[key] == nil {
			r := &row[R]{key: key}
			rs.byKey[key] = r
			rs.list = append(rs.list, r)
		}
	}
	return rs
}

func (rs *rows[R]) keys() []string {
	keys := make([]string, len(rs.list))
	for i, r := range rs.list {
		keys[i] = r.key
	}
	return keys
}

// split tells what is to be deleted, inserted and updated.
func (rs *rows[R]) split() (gone []string, added, changed []*row[R]) {
	for _, r := range rs.list {
		switch {
		case r.value == nil && r.stored:
			gone = append(gone, r.key)
		case r.value == nil:
		case r.stored:
			changed = append(changed, r)
		default:
			added = append(added, r)
		}
	}
	return gone, added, changed
}
