package pgstore

import (
	"context"
	"encoding/binary"
	"math/bits"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// Sum stands for a set of events: two sets of one sum are the same, but for one chance
// in 2^64. Sums of parts that have no event in common make that of the whole.
type Sum struct {
	Events int64  // how many
	Hash   uint64 // XOR of the hashes of their ids
}

// Add puts an event into the set.
func (s *Sum) Add(id uuid.UUID) {
	s.Events++
	s.Hash ^= hashOf(id)
}

// sumsSQL hashes ids as hashOf does. Bind: $1 after, $2 up to, $3 categories or null.
const sumsSQL = `
select category, count(*), bit_xor(uuid_hash_extended(event_id, 0))
from {asof}.events where position > $1 and position <= $2 and ($3::text[] is null or category = any($3))
group by category`

// sumSQL does so for one category, at two thirds of the cost. Bind: $1 after, $2 up to, $3
// category.
const sumSQL = `
select $3::text, count(*), bit_xor(uuid_hash_extended(event_id, 0))
from {asof}.events where position > $1 and position <= $2 and category = $3::text
having count(*) > 0`

// Plus is the sum of two sets that have no event in common.
func (s Sum) Plus(other Sum) Sum {
	return Sum{Events: s.Events + other.Events, Hash: s.Hash ^ other.Hash}
}

// Sums returns what stands in the log after a position and up to a settled one, by
// category; of all categories when none is given. It reads all of that: about 0.2 seconds of
// a processor for a million events.
func (s *Store) Sums(ctx context.Context, after, upTo es.Position, categories ...string) (map[string]Sum, error) {
	var sums map[string]Sum
	sql, of := s.sql.sums, any(categories)
	switch len(categories) {
	case 0:
		of = nil
	case 1:
		sql, of = s.sql.sum, categories[0]
	}
	_, err := s.read(ctx, "sum up the log", es.Checkpoint{}, func(_ look, batch *pgx.Batch) {
		sums = map[string]Sum{}
		batch.Queue(pg.NoStatementTimeoutSQL)
		batch.Queue(sql, int64(after), int64(upTo), of).Query(func(rows pgx.Rows) error {
			var category string
			var events, hash int64
			_, err := pgx.ForEachRow(rows, []any{&category, &events, &hash}, func() error {
				sums[category] = Sum{Events: events, Hash: uint64(hash)} //nolint:gosec // the bits count, not the number
				return nil
			})
			return err
		})
	})
	return sums, err
}

// hashOf is uuid_hash_extended(id, 0) of Postgres, which keeps it for good, since hash
// partitions are found by it: Bob Jenkins's lookup3 (2006, public domain) of 16 bytes,
// with both halves of its result.
func hashOf(id uuid.UUID) uint64 {
	const start = 0x9e3779b9 + 16 + 3923095
	word := func(n int) uint32 { return binary.LittleEndian.Uint32(id[4*n:]) }
	a, b, c := start+word(0), start+word(1), start+word(2)
	for _, rot := range [...][3]int{{4, 6, 8}, {16, 19, 4}} { // mix
		a = (a - c) ^ bits.RotateLeft32(c, rot[0])
		c += b
		b = (b - a) ^ bits.RotateLeft32(a, rot[1])
		a += c
		c = (c - b) ^ bits.RotateLeft32(b, rot[2])
		b += a
	}
	a += word(3)
	c = (c ^ b) - bits.RotateLeft32(b, 14) // final
	a = (a ^ c) - bits.RotateLeft32(c, 11)
	b = (b ^ a) - bits.RotateLeft32(a, 25)
	c = (c ^ b) - bits.RotateLeft32(b, 16)
	a = (a ^ c) - bits.RotateLeft32(c, 4)
	b = (b ^ a) - bits.RotateLeft32(a, 14)
	c = (c ^ b) - bits.RotateLeft32(b, 24)
	return uint64(b)<<32 | uint64(c)
}
