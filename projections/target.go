package projections

import (
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es/pgstore"
)

// Target is the database that a read model stands in, with the books that say what is
// applied: the framework's tables, which package migrations makes. A *pgstore.Store is
// one, for a read model beside the log.
type Target interface {
	Pool() *pgxpool.Pool
	Schema() string // of the framework's tables
}

// In is a database of its own for read models, whose events come from elsewhere: see
// [FromLog]. Its framework's tables lie in a schema, which is asof but where somebody
// chose another.
func In(pool *pgxpool.Pool, schema string) Target { return database{pool, schema} }

type database struct {
	pool   *pgxpool.Pool
	schema string
}

func (d database) Pool() *pgxpool.Pool { return d.pool }
func (d database) Schema() string      { return d.schema }

// nothing reports a target that leads nowhere.
func nothing(t Target) bool {
	store, beside := t.(*pgstore.Store)
	return t == nil || beside && store == nil || t.Pool() == nil
}

// FromLog makes a projector follow the log of a store that lies in another database than
// the read model. The events of a batch are read there, and written with what is known to
// be applied in the target's transaction. With [FromKafka] it is the log behind the topics.
func FromLog(store *pgstore.Store) Option { return func(p *Projector) { p.apply.Log = store } }
