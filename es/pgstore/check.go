package pgstore

import (
	"context"
	"errors"
)

// checkSQL reads how many positions a session draws at once.
const checkSQL = `
select seqcache from pg_sequence where seqrelid = SEQUENCE`

// check looks once, at the first use, whether the tables are there and positions
// are drawn one by one: a cache would let a later append draw a lower position.
func (s *Store) check(ctx context.Context, db db) error {
	if s.checked.Load() {
		return nil
	}
	var cache int64
	if err := db.QueryRow(ctx, s.sql.check).Scan(&cache); err != nil {
		return explain("open the store in schema "+s.schema, err)
	}
	if cache != 1 {
		return errors.New("pgstore: the sequence " + s.schema + ".events_position has a cache, which breaks the order of the log: run: alter sequence " + s.schema + ".events_position cache 1")
	}
	s.checked.Store(true)
	return nil
}
