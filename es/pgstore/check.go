package pgstore

import (
	"context"
	"errors"
)

// checkSQL reads how many positions a session draws at once, and whether this is a
// standby.
const checkSQL = `
select seqcache, pg_is_in_recovery() from pg_sequence where seqrelid = SEQUENCE`

// check looks, until it has found all in order, whether the tables are there and
// positions are drawn one by one: a cache would let a later append draw a lower
// position.
func (s *Store) check(ctx context.Context, db db) error {
	if s.checked.Load() {
		return nil
	}
	standby, err := s.look(ctx, db)
	if err == nil && !standby {
		s.checked.Store(true)
	}
	return err
}

// checkPrimary is check for those who read the log.
func (s *Store) checkPrimary(ctx context.Context) error {
	if s.checked.Load() {
		return nil
	}
	if standby, err := s.look(ctx, s.pool); err != nil {
		return err
	} else if standby {
		return errStandby
	}
	s.checked.Store(true)
	return nil
}

func (s *Store) look(ctx context.Context, db db) (standby bool, err error) {
	var cache int64
	if err := db.QueryRow(ctx, s.sql.check).Scan(&cache, &standby); err != nil {
		return false, explain("open the store in schema "+s.schema, err)
	}
	if cache != 1 {
		return false, errors.New("pgstore: the sequence " + s.schema + ".events_position has a cache, which breaks the order of the log: run: alter sequence " + s.schema + ".events_position cache 1")
	}
	return standby, nil
}
