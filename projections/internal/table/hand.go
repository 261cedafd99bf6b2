package table

import (
	"cmp"
	"reflect"
	"slices"
)

// Hand changes rows. Several may work side by side, where each row is changed by one of them
// alone; what they have changed is then [Rows.Gather]ed.
type Hand[R any] struct {
	rs    *Rows[R]
	was   []any // the key of the row that is changed
	dirty []touched[R]
	sizes sizes
}

// touched is a row that was not dirty before, and which touch of a batch has changed that.
type touched[R any] struct {
	row *Row[R]
	at  int
}

// Hands returns so many hands.
func (rs *Rows[R]) Hands(n int) []Hand[R] {
	list := make([]Hand[R], n)
	for i := range list {
		list[i].rs = rs
	}
	return list
}

// Gather takes back hands. What they have changed is written in the order of the touches, as
// if one hand had done it.
func (rs *Rows[R]) Gather(hands []Hand[R]) {
	var all []touched[R]
	for i := range hands {
		all = append(all, hands[i].dirty...)
		rs.sizes.add(&hands[i].sizes)
	}
	slices.SortFunc(all, func(a, b touched[R]) int { return cmp.Compare(a.at, b.at) })
	for _, t := range all {
		rs.dirty = append(rs.dirty, t.row)
	}
}

// Change lets apply change a row, which exists then, and makes it what reading it back
// gives. When it does not exist it comes as the zero value with its key set to text. A row of
// which gone says true, where it is given, is removed. After an error or a panic the row is as
// it was. At says which touch of the batch it is.
func (h *Hand[R]) Change(at int, r *Row[R], text string, apply func(*R) (more bool, err error), gone func(*R) bool) (err error) {
	was := saved[R]{clone(&r.Value, h.rs.deep), r.text(), r.Exists, r.removed}
	done := false
	defer func() {
		if !done {
			r.setText(was.text)
			r.Value, r.Exists, r.removed = was.value, was.exists, was.removed
		}
	}()
	for more := true; more; {
		if more, err = h.change(at, r, text, apply); err != nil {
			return err
		}
		if gone != nil && gone(&r.Value) {
			clear(r)
			r.Exists, r.removed = false, true
		}
	}
	done = true
	return nil
}

// saved is what a row was before a change.
type saved[R any] struct {
	value           R
	text            string
	exists, removed bool
}

func (h *Hand[R]) change(at int, r *Row[R], text string, apply func(*R) (bool, error)) (more bool, err error) {
	value, shape := reflect.ValueOf(&r.Value).Elem(), h.rs.shape
	if !r.Exists {
		clear(r)
		r.setText(text)
		if err := shape.setKey(value, text); err != nil {
			return false, err
		}
		r.Exists = true
	}
	if !r.dirty {
		r.dirty = true
		h.dirty = append(h.dirty, touched[R]{r, at})
	}
	h.was = shape.keyOf(value, h.was[:0])
	if more, err = apply(&r.Value); err != nil {
		return false, err
	}
	if err := shape.keepsKey(value, h.was, r.text()); err != nil {
		return false, err
	}
	if err := shape.canonical(value); err != nil {
		return false, err
	}
	if err := shape.settleChildren(value, r.text()); err != nil {
		return false, err
	}
	copied := shape.children
	if h.rs.blank {
		copied = nil
	}
	h.sizes.sample(value, copied)
	return more, nil
}

func clear[R any](r *Row[R]) {
	var zero R
	r.Value = zero
}
