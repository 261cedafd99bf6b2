package table

import (
	"iter"
	"reflect"
)

// stored are the child rows of a row in one table, as they were found or written.
type stored struct {
	list  reflect.Value
	xmins []uint32
}

// fate tells whether a row that is dirty leaves the table, and whether it comes into it. It
// does both where it is another row by the same key. One that does neither changes, if it
// exists.
func (r *Row[R]) fate(how How) (goes, comes bool) {
	there := r.found == present
	anew := r.removed || how.Moves || !r.Exists
	return there && anew, r.Exists && (!there || anew)
}

// changes are what is to be written: to the table of the rows, then to those of their
// children.
func (rs *Rows[R]) changes(how How) []changes {
	var gone, changed, added []*Row[R]
	for _, r := range rs.dirty {
		goes, comes := r.fate(how)
		if goes {
			gone = append(gone, r)
		}
		if comes {
			added = append(added, r)
		}
		if !goes && !comes && r.Exists {
			changed = append(changed, r)
		}
	}
	all := []changes{{rs.shape, rowRecords(gone), rowRecords(changed), rowRecords(added)}}
	for i := range rs.shape.children {
		all = append(all, rs.childChanges(i, how))
	}
	return all
}

func rowRecords[R any](rows []*Row[R]) records {
	return records{len(rows), func(i int) record {
		return record{rows[i].text(), rows[i].xmin, reflect.ValueOf(&rows[i].Value).Elem()}
	}}
}

// childChanges are what is to be written to the table of children.
func (rs *Rows[R]) childChanges(of int, how How) changes {
	c := &rs.shape.children[of]
	var gone, changed, added []record // by the keys of their parents
	for _, r := range rs.dirty {
		for was, now := range rs.childPairs(of, r, how) {
			switch {
			case now == nil:
				gone = append(gone, record{r.text(), was.xmin, was.value})
			case was == nil:
				added = append(added, record{r.text(), 0, now.value})
			case !was.equal(now):
				changed = append(changed, record{r.text(), was.xmin, now.value})
			}
		}
	}
	return changes{c.Shape, c.records(gone), c.records(changed), c.records(added)}
}

// records writes the keys of child rows when they are needed.
func (c *child) records(list []record) records {
	return records{len(list), func(i int) record {
		r := list[i]
		r.key = c.keyText(c.parent.split(r.key, nil), r.value)
		return r
	}}
}

func (r *record) equal(other *record) bool {
	return reflect.DeepEqual(r.value.Interface(), other.value.Interface())
}

// childPairs goes over the children of a row in one table, as they were and as they are, in
// the order of their keys. What was not there, or is not, is nil.
func (rs *Rows[R]) childPairs(of int, r *Row[R], how How) iter.Seq2[*record, *record] {
	c := &rs.shape.children[of]
	was := r.stored(of)
	is := reflect.ValueOf(&r.Value).Elem().FieldByIndex(c.list.index)
	goes, comes := r.fate(how)
	return func(yield func(was, now *record) bool) {
		i, j := 0, 0
		for i < len(was.xmins) || j < is.Len() {
			var n int
			switch {
			case i == len(was.xmins):
				n = 1
			case j == is.Len() || goes || comes: // those that were go first
				n = -1
			default:
				n = c.compare(was.list.Index(i), is.Index(j))
			}
			var before, now *record
			if n <= 0 {
				before = &record{xmin: was.xmins[i], value: was.list.Index(i)}
				i++
			}
			if n >= 0 {
				now = &record{value: is.Index(j)}
				j++
			}
			if !yield(before, now) {
				return
			}
		}
	}
}

// keepChildren remembers the children of a row as a transaction has written them.
func (rs *Rows[R]) keepChildren(r *Row[R], how How, xid uint32) {
	kept := make([]stored, len(rs.shape.children))
	for of := range kept {
		var xmins []uint32
		for was, now := range rs.childPairs(of, r, how) {
			switch {
			case now == nil:
			case was != nil && was.equal(now):
				xmins = append(xmins, was.xmin)
			default:
				xmins = append(xmins, xid)
			}
		}
		kept[of] = rs.shape.children[of].copyOf(reflect.ValueOf(&r.Value).Elem(), xmins)
	}
	r.beside().children = kept
}

// copyOf takes a copy of the children of a row, which Apply does not change.
func (c *child) copyOf(row reflect.Value, xmins []uint32) stored {
	return stored{deepened(row.FieldByIndex(c.list.index), false), xmins}
}
