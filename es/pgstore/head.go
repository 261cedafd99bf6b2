package pgstore

import (
	"context"
	"time"
)

// The settled head is kept in the database too, so that a reader that starts while
// an append stays open does not wait over holes that another reader has settled.
// It is stored no more than once a second: an old value costs a wait, nothing else.
const (
	loadHeadSQL = `select position from SCHEMA.settled_head`

	// Bind: $1 position.
	storeHeadSQL = `update SCHEMA.settled_head set position = $1 where position < $1`

	storeEvery = time.Second
)

// store is called with the settled state locked.
func (s *Store) store(ctx context.Context) error {
	st := &s.settled
	if time.Since(st.stored) < storeEvery {
		return nil
	}
	if _, err := s.pool.Exec(ctx, s.sql.storeHead, int64(st.head)); err != nil {
		return err
	}
	st.stored = time.Now()
	return nil
}
