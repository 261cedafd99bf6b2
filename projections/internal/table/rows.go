package table

import (
	"context"
	"fmt"
	"hash/maphash"
	"reflect"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Row is a row of a read model, in memory. Value is valid where Exists.
type Row[R any] struct {
	Value R
	FedBy *[2]string // the caller's: who has changed it since it came into memory

	key     string // by which memory has it
	aside   *aside
	xmin    uint32 // with which it was found or written
	found   found
	Exists  bool // the read model has it
	dirty   bool
	removed bool // since it was found: what comes now is a new row
}

// aside is what most rows do not have. There may be millions in memory.
type aside struct {
	text     string   // as the table has the key, where it is another than memory has it by
	children []stored // by table; none where there are none, or it is new
}

// found is what is known of the row in the table.
type found uint8

const (
	unknown found = iota
	absent
	present
)

// Key is the row's key as text.
func (r *Row[R]) Key() string { return r.key }

// text is the row's key as the table has it: its own text but where a type writes equal
// values differently.
func (r *Row[R]) text() string {
	if r.aside == nil || r.aside.text == "" {
		return r.key
	}
	return r.aside.text
}

func (r *Row[R]) setText(text string) {
	switch {
	case text != r.key:
		r.beside().text = text
	case r.aside != nil:
		r.aside.text = ""
	}
}

func (r *Row[R]) beside() *aside {
	if r.aside == nil {
		r.aside = &aside{}
	}
	return r.aside
}

// stored are the children of a table, as they were found or written.
func (r *Row[R]) stored(of int) stored {
	if r.aside == nil || len(r.aside.children) == 0 {
		return stored{}
	}
	return r.aside.children[of]
}

// Rows are rows of one table in memory: those that were touched since it was opened, or
// since it last forgot. It is not safe for concurrent use.
type Rows[R any] struct {
	shape *Shape
	place Place
	empty bool // what is not in memory does not exist
	blank bool // nothing was ever written to it
	byKey map[string]*Row[R]
	load  []*Row[R] // to be looked up
	dirty []*Row[R] // to be written, in the order in which they were touched: the same each time
	sizes sizes
	keep  bool // texts of keys tell which row is meant
	deep  bool // a row leads to what can be changed in place
	seed  maphash.Seed
	how   How    // what was written last was written
	part  part   // that is folded
	later []part // that are left
}

// Open returns no rows yet, of a table that is empty or not.
func Open[R any](shape *Shape, place Place, empty bool) *Rows[R] {
	return &Rows[R]{shape: shape, place: place, empty: empty, blank: empty, byKey: map[string]*Row[R]{}, keep: shape.keeps(), deep: leads(reflect.TypeFor[R]()), seed: maphash.MakeSeed(), part: part{of: 1}}
}

// keeps reports a table whose rows may stay in memory: nothing changes them on their way
// into it, and the text of a key tells which row it is.
func (s *Shape) keeps() bool {
	for i := range s.keys {
		if !s.keys[i].plain() {
			return false
		}
	}
	return !slices.ContainsFunc(s.tables(), func(t *Shape) bool { return t.triggers })
}

// Send makes the round trip of a batch: on a pool, a connection or in a transaction.
type Send func(ctx context.Context, b *pgx.Batch) error

// Unified is what has become of texts of keys.
type Unified struct {
	Texts []string          // as the table would have each
	Same  map[string]string // which text has become which, those of prior too
}

// Unify makes the texts of one key one text, in place; that of a row in memory, where one
// has it. A text that is no key gives an error that [NotAKey] knows.
func (rs *Rows[R]) Unify(ctx context.Context, send Send, keys []string, prior func() []string) (Unified, error) {
	ask := false
	for i, key := range keys {
		text, known := rs.shape.canonicalKey(key)
		keys[i] = text
		ask = ask || !known
	}
	if !ask || len(keys) == 0 {
		return Unified{keys, rs.shape.canonicalKeys(prior())}, nil
	}
	var list []string
	for key := range rs.byKey { // they come first, since they may be the same rows by other texts
		list = append(list, key)
	}
	for _, key := range prior() {
		if rs.shape.CheckKey(key) == nil { // or it is of a version with another key, and no row of this one
			list = append(list, key)
		}
	}
	list = append(list, distinct(keys)...)
	own, first := make(map[string]string, len(list)), make(map[string]string, len(list))
	batch := &pgx.Batch{}
	batch.Queue(rs.shape.equalKeysSQL(rs.place), rs.shape.splitAll(list)...).Query(func(rows pgx.Rows) error {
		var n int64
		var same, mine []string
		_, err := pgx.ForEachRow(rows, []any{&n, &same, &mine}, func() error {
			first[list[n-1]], own[list[n-1]] = rs.shape.join(same), rs.shape.join(mine)
			return nil
		})
		return err
	})
	if err := send(ctx, batch); err != nil {
		return Unified{}, keyError{fmt.Errorf("compare keys of %s: %w", rs.shape.Name, err)}
	}
	texts := make([]string, len(keys))
	for i, key := range keys {
		keys[i], texts[i] = first[key], own[key]
	}
	return Unified{texts, first}, nil
}

// canonicalKeys tells which texts are another's, as far as is known here.
func (s *Shape) canonicalKeys(keys []string) (same map[string]string) {
	for _, key := range keys {
		if s.CheckKey(key) != nil {
			continue
		}
		if text, known := s.canonicalKey(key); known && text != key {
			if same == nil {
				same = map[string]string{}
			}
			same[key] = text
		}
	}
	return same
}

func distinct(keys []string) []string {
	seen := make(map[string]struct{}, len(keys))
	var list []string
	for _, key := range keys {
		if _, ok := seen[key]; !ok {
			seen[key] = struct{}{}
			list = append(list, key)
		}
	}
	return list
}

// Row returns the row of a key. Before its value is used, those that are not in memory
// are looked up by Load.
func (rs *Rows[R]) Row(key string) *Row[R] {
	r := rs.byKey[key]
	if r == nil {
		r = &Row[R]{key: key}
		if rs.empty {
			r.found = absent
		}
		rs.byKey[key] = r
	}
	if r.found == unknown {
		r.found = absent // unless Load finds it
		rs.load = append(rs.load, r)
	}
	return r
}

// Keeps reports rows that may be kept after they were written.
func (rs *Rows[R]) Keeps() bool { return rs.keep }

// Bytes estimates what the rows take in memory.
func (rs *Rows[R]) Bytes() int { return len(rs.byKey) * rs.sizes.row() }

// Dirty counts the rows that are not written yet.
func (rs *Rows[R]) Dirty() int { return len(rs.dirty) }

// Written says that a transaction was committed in which all was written, and its id. Then
// the rows are known as they are in the table; rows beyond a number of bytes are forgotten.
func (rs *Rows[R]) Written(xid uint32, most int) {
	rs.blank = false
	if !rs.keep {
		rs.Forget()
		return
	}
	for _, r := range rs.dirty {
		if len(rs.shape.children) > 0 {
			rs.keepChildren(r, rs.how, xid)
		}
		r.dirty, r.removed, r.found, r.xmin = false, false, absent, 0
		if r.Exists {
			r.found, r.xmin = present, xid
		}
	}
	rs.dirty = rs.dirty[:0]
	if rs.Bytes() <= most {
		return
	}
	rs.empty = false
	for key := range rs.byKey { // in no order: as good as any where nothing is known
		if rs.Bytes() <= most/4*3 {
			return
		}
		delete(rs.byKey, key)
	}
}

// Forget drops all rows: what is touched next is looked up anew.
func (rs *Rows[R]) Forget() {
	rs.byKey, rs.dirty, rs.load, rs.empty, rs.blank = map[string]*Row[R]{}, nil, nil, false, false
	rs.part, rs.later = part{of: 1}, nil
}
