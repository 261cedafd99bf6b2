package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// Build is one set of tables that a projection was built into.
type Build struct {
	Projection string
	ID         int64
	Version    int
	Schema     string // that its tables lie in
	State      string // [BuildLive], [BuildKept] or [BuildBuilding]
	Active     bool   // a rebuild, or a rollback, holds it right now
	Kind       string // of source: "log", "kafka" with the log behind it, or "topic" for topics alone
	Source     string // "log", or "kafka topic" and its name; when Kafka could not be read, why
	// Position is up to where every event of the log is applied. With Kafka some later ones
	// are, too; of topics alone it stays zero.
	Position es.Position
	Made     time.Time // when the rebuild that made it began
	// Changed is when something was last applied to it or, if that was later, when it was
	// made live. Of a kept one it is when another took its place.
	Changed time.Time
	Gone    bool // somebody has dropped its schema
	Tables  []BuildTable
}

// What a build can be.
const (
	BuildLive     = "live"     // readers see it
	BuildKept     = "kept"     // it was live, and Rollback makes it so again
	BuildBuilding = "building" // a rebuild fills it, or has been stopped
)

// BuildTable is a table of a build.
type BuildTable struct {
	Name string
	// Rows counts its rows. Those of a large table are estimated by the database; -1 means
	// that it has no estimate yet, or that the role may not read the table.
	Rows      int64
	Estimated bool
	Bytes     int64 // on disk, with indexes and all else that belongs to it
}

// Bytes is what the tables take on disk.
func (b Build) Bytes() int64 {
	var n int64
	for _, t := range b.Tables {
		n += t.Bytes
	}
	return n
}

// Builds returns the builds of some projections, of all when none is named: by name, the
// live one first, then what is being built, then what is kept, the newest first. It needs
// no definitions, and so works for a projection that no program has any more.
func Builds(ctx context.Context, target Target, names ...string) ([]Build, error) {
	for try := 1; ; try++ {
		list, err := countedBuilds(ctx, books.Of(target), names)
		if err == nil || try == countTries || !errors.Is(err, errRenamed) && !pg.NotMigrated(err) {
			return list, fault.Explain("read the builds", err)
		}
	}
}

// countTries is how often the builds are read again, since a table that was to be counted
// had another name by then.
const countTries = 5

// errRenamed: a schema was switched or dropped meanwhile.
var errRenamed = errors.New("the builds are being switched: try again")

// countedBuilds reads the builds and counts their rows in one snapshot.
func countedBuilds(ctx context.Context, k books.Books, names []string) (list []Build, err error) {
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, k.Pool(), snapshot, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, pg.NoStatementTimeoutSQL); err != nil {
			return err
		}
		builds, tables, err := readBuilds(ctx, tx, k, names)
		if err != nil {
			return err
		}
		list = builds
		return countRows(ctx, tx, tables)
	})
	return list, err
}

// buildsSQL reads builds by name; null means all. Bind: $1 names.
const buildsSQL = `
select b.id, b.name, b.version, b.status, b.schema_name, b.kind, b.source, l.position, b.created_at, b.updated_at,
       b.status = 'building' and coalesce(b.lease_until > clock_timestamp(), false),
       not exists (select from pg_namespace where nspname = b.schema_name)
from {asof}.builds b join {asof}.lanes l on l.build = b.id and l.lane = 0
where $1::text[] is null or b.name = any($1)
order by b.name, case b.status when 'live' then 1 when 'building' then 2 else 3 end, b.updated_at desc, b.id desc`

// readBuilds reads builds, and what their tables are; rows are estimated.
func readBuilds(ctx context.Context, db pg.Querier, k books.Books, names []string) ([]Build, []*tableOf, error) {
	if len(names) == 0 {
		names = nil
	}
	rows, err := db.Query(ctx, k.SQL(buildsSQL), names)
	if err != nil {
		return nil, nil, err
	}
	builds, err := pgx.CollectRows(rows, scanListed)
	if err != nil {
		return nil, nil, err
	}
	byID := make(map[int64]*Build, len(builds))
	for i := range builds {
		byID[builds[i].ID] = &builds[i]
	}
	tables, err := readTables(ctx, db, k, byID)
	return builds, tables, err
}

func scanListed(row pgx.CollectableRow) (Build, error) {
	b := Build{Tables: []BuildTable{}}
	var status string
	err := row.Scan(&b.ID, &b.Projection, &b.Version, &status, &b.Schema, &b.Kind, &b.Source, (*int64)(&b.Position), &b.Made, &b.Changed, &b.Active, &b.Gone)
	if b.State = status; status == books.Retired {
		b.State = BuildKept
	}
	return b, err
}

// String names the build for people.
func (b Build) String() string {
	return fmt.Sprintf("build %d of %s (version %d, %s)", b.ID, b.Projection, b.Version, b.State)
}
