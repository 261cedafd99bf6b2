package table

import (
	"context"
	"hash/maphash"

	"github.com/jackc/pgx/v5"
)

// More rows than memory has room for are folded in parts, by hash of the key: rows do not
// depend on each other, so those of one part can be folded by one reading of the events,
// and those of the next by another. How many parts there are shows while the first is
// folded: when memory is full, half of the rows is left for later.

// part is the keys whose hash is rest modulo of; of is a power of two.
type part struct{ of, rest uint64 }

func (rs *Rows[R]) hash(key string) uint64 { return maphash.String(rs.seed, key) }

// Has reports that a key belongs to the part that is folded.
func (rs *Rows[R]) Has(key string) bool {
	return rs.part.of == 1 || rs.hash(key)&(rs.part.of-1) == rs.part.rest
}

// Halve leaves half of the part for later, if the table is blank and nothing of it is
// written, and reports whether it did.
func (rs *Rows[R]) Halve() bool {
	if !rs.blank || !rs.keep || !rs.shape.copies || len(rs.byKey) < 2 {
		return false
	}
	rs.later = append(rs.later, part{2 * rs.part.of, rs.part.rest + rs.part.of})
	rs.part.of *= 2
	kept := rs.dirty[:0]
	for _, r := range rs.dirty {
		if rs.Has(r.key) {
			kept = append(kept, r)
		}
	}
	old := rs.byKey // made anew: a map does not shrink
	rs.byKey = make(map[string]*Row[R], len(kept))
	for key, r := range old {
		if rs.Has(key) {
			rs.byKey[key] = r
		}
	}
	rs.dirty = append([]*Row[R](nil), kept...)
	return true
}

// Parts reports that parts are left for later.
func (rs *Rows[R]) Parts() bool { return len(rs.later) > 0 }

// CopyParts copies the rows in memory, and those of every part that is left after fold has
// folded all events into it, in the connection's transaction.
func (rs *Rows[R]) CopyParts(ctx context.Context, conn *pgx.Conn, fold func() error) error {
	return rs.bare(ctx, conn, func() error {
		for {
			if err := rs.copy(ctx, conn, rs.changes(How{})); err != nil {
				return err
			}
			rs.byKey, rs.dirty = map[string]*Row[R]{}, nil
			if !rs.Parts() {
				rs.part, rs.empty, rs.blank = part{of: 1}, false, false
				return nil
			}
			rs.part, rs.later = rs.later[len(rs.later)-1], rs.later[:len(rs.later)-1]
			if err := fold(); err != nil {
				return err
			}
		}
	})
}
