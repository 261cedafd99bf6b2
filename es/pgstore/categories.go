package pgstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

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

// categorySQL registers a category under the name that Kafka takes its topic for. It
// waits for nobody who registers the same one, but leaves it to him; for another
// category of that name it does. It returns what was there before, and whether that is
// committed for certain: older than all that is under way. Bind: $1 category, $2 whether a transaction
// of the caller's is open.
const categorySQL = `
with mine as materialized (
    select pg_try_advisory_xact_lock({events}::oid::int, hashtext($1::text)) as registers
), new as (
    insert into {asof}.categories (topic, category)
    select translate($1::text, '.', '_'), $1 from mine
    where registers and not exists (select from {asof}.categories where topic = translate($1::text, '.', '_'))
    on conflict do nothing returning 1
)
select category, age(xmin) > age(pg_snapshot_xmin(pg_current_snapshot())::xid)
from {asof}.categories where topic = translate($1::text, '.', '_')
union all
select $1, not $2 from new`

// register makes sure that no other category of the store has the same topic for
// Kafka. It is repeated until the registration is seen to be committed: in the
// caller's transaction it may be rolled back.
func (s *Store) register(ctx context.Context, db db, stream es.StreamID, inTx bool) error {
	category := stream.Category
	if s.categories.has(category) {
		return nil
	}
	there, committed := category, false
	ask := func() error {
		rows, err := db.Query(ctx, s.sql.category, category, inTx)
		if err == nil {
			_, err = pgx.ForEachRow(rows, []any{&there, &committed}, func() error { return nil })
		}
		return err
	}
	err := ask()
	if !inTx && pg.LostRace(err) { // of an isolation that the role has by default
		err = ask()
	}
	if err != nil {
		return explain("register category "+category, err)
	}
	if there != category {
		return fmt.Errorf("pgstore: append to %s: %w: the store has category %q, and for Kafka the topics of the two are one, as it knows no difference between . and _: choose another", stream, es.ErrInvalid, there)
	}
	if committed {
		s.categories.add(category)
	}
	return nil
}
