// Package books has the framework's tables that say what is applied to which build: builds
// and their lanes, sums, what is parked, skipped and paused. It reads and writes their rows,
// and knows nothing of how events are applied, nor where they come from.
package books

import (
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/internal/pg"
)

// Database is where read models stand, with the books.
type Database interface {
	Pool() *pgxpool.Pool
	Schema() string // of the books
}

// Books are the framework's tables that say what is applied.
type Books struct{ Database }

// Of returns the books in a database.
func Of(db Database) Books { return Books{db} }

// SQL puts the schema of the books in the place of {asof}.
func (k Books) SQL(text string) string {
	return strings.ReplaceAll(text, "{asof}", pg.Quote(k.Schema()))
}
