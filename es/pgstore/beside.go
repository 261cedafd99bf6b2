package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// beside gives a connection that is made as those of the pool are, for who holds one of
// these already: all of them may be held by others who would wait for another.
func (s *Store) beside(ctx context.Context, use func(*pgx.Conn) error) error {
	config := s.pool.Config()
	if prepare := config.BeforeConnect; prepare != nil {
		if err := prepare(ctx, config.ConnConfig); err != nil {
			return err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if prepare := config.AfterConnect; prepare != nil {
		if err := prepare(ctx, conn); err != nil {
			return err
		}
	}
	return use(conn)
}
