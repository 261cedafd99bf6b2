package pgstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// categories are those of the store that this program knows to be registered, so that
// no append after the first of each asks for it.
type categories struct {
	mu    sync.RWMutex
	known map[string]bool
}

func (c *categories) has(category string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.known[category]
}

func (c *categories) add(category string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]bool{}
	}
	c.known[category] = true
}

// categorySQL finds the category that has a topic. Bind: $1 category.
const categorySQL = `select category from {asof}.categories where topic = translate($1::text, '.', '_')`

// registerSQL registers a category under the name that Kafka takes its topic for, unless
// one is there. Bind: $1 category.
const registerSQL = `insert into {asof}.categories (topic, category) values (translate($1::text, '.', '_'), $1) on conflict do nothing`

// register makes sure that no other category of the store has the same topic for Kafka.
//
// A registration is committed by itself before the append, and stays whatever becomes of
// that. In the caller's transaction it could be seen by nobody else until the end: another
// of the same category would have to wait for it, or rely on what may be rolled back.
func (s *Store) register(ctx context.Context, db db, stream es.StreamID, inTx bool) error {
	category := stream.Category
	if s.categories.has(category) {
		return nil
	}
	there, err := s.registered(ctx, db, category)
	if errors.Is(err, pgx.ErrNoRows) {
		there, err = s.registerNew(ctx, category, inTx)
	}
	if err != nil {
		return explain("register category "+category, err)
	}
	if there != category {
		return fmt.Errorf("pgstore: append to %s: %w: the store has category %q, and for Kafka the topics of the two are one, as it knows no difference between . and _: choose another", stream, es.ErrInvalid, there)
	}
	s.categories.add(category)
	return nil
}

// registered returns the category that has the topic, or pgx.ErrNoRows.
func (s *Store) registered(ctx context.Context, db db, category string) (string, error) {
	rows, err := db.Query(ctx, s.sql.category, category)
	if err != nil {
		return "", err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
}

// registerNew returns the category that has the topic then. Inside the caller's transaction
// it takes a connection beside the pool, all of which such callers may hold.
func (s *Store) registerNew(ctx context.Context, category string, inTx bool) (there string, err error) {
	if !inTx {
		return s.registerOn(ctx, s.pool, category)
	}
	err = s.beside(ctx, func(conn *pgx.Conn) (err error) {
		there, err = s.registerOn(ctx, conn, category)
		return err
	})
	return there, err
}

func (s *Store) registerOn(ctx context.Context, on interface {
	db
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, category string) (string, error) {
	_, err := on.Exec(ctx, s.sql.register, category)
	if pg.LostRace(err) { // of an isolation that the role has by default
		_, err = on.Exec(ctx, s.sql.register, category)
	}
	if err != nil {
		return "", err
	}
	return s.registered(ctx, on, category)
}
