package migrations

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/internal/pg"
)

// versionTable is goose's own, so that the goose command works on it too. Two columns
// are ours: which file had the number, and what was in it. They are null in rows that
// goose wrote.
//
// A row that is not applied and has a name is of a file that runs outside a
// transaction: it was begun, and did not finish.
const versionTable = "goose_db_version"

// state is what the version table says.
type state struct {
	exists   bool
	complete bool          // it has our columns
	rows     map[int64]row // the last one of each number
}

type row struct {
	Version        int64
	Applied        bool
	At             time.Time
	Name, Checksum string
}

// unfinished reports that the file was begun outside a transaction, and no more.
func (r row) unfinished() bool { return !r.Applied && r.Name != "" }

// title names a row's file in a sentence.
func (r row) title() string {
	if r.Name == "" {
		return fmt.Sprintf("number %d", r.Version)
	}
	return r.Name
}

// querier is a connection or its transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// tableSQL finds the version table. Bind: $1 its quoted name.
const tableSQL = `
select to_regclass($1) is not null,
       (select count(*) = 2 from pg_attribute where attrelid = to_regclass($1) and attname in ('name', 'checksum') and not attisdropped)`

// rowsSQL reads the version table, whether it has our columns or not. A time has no
// zone there; ours are UTC.
const rowsSQL = `
select version_id, is_applied, tstamp, coalesce(to_jsonb(v) ->> 'name', ''), coalesce(to_jsonb(v) ->> 'checksum', '')
from %s v where version_id > 0 order by id`

// state reads the version table, writes nothing and waits for nobody.
func (p plan) state(ctx context.Context, q querier) (state, error) {
	s := state{rows: map[int64]row{}}
	if err := q.QueryRow(ctx, tableSQL, p.table).Scan(&s.exists, &s.complete); err != nil {
		return s, fmt.Errorf("look for the table of versions: %w", granted(err, p.readGrant()))
	}
	if !s.exists {
		return s, nil
	}
	rows, err := q.Query(ctx, fmt.Sprintf(rowsSQL, p.table))
	if err != nil {
		return s, fmt.Errorf("read the table of versions: %w", granted(err, p.readGrant()))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return s, fmt.Errorf("read the table of versions: %w", granted(err, p.readGrant()))
	}
	for _, r := range list {
		s.rows[r.Version] = r
	}
	return s, p.fits(s)
}

func (p plan) readGrant() string {
	return fmt.Sprintf("to see what is applied: grant usage on schema %s, and grant select on %s", pg.Quote(p.schema), p.table)
}

// fits refuses a schema that another set has been at. Numbers above the set's own are
// those of a newer program.
func (p plan) fits(s state) error {
	for _, version := range slices.Sorted(maps.Keys(s.rows)) {
		r := s.rows[version]
		if version > p.newest() || !r.Applied && !r.unfinished() {
			continue
		}
		const what = "give each set a schema of its own"
		f := p.file(version)
		switch {
		case f == nil:
			return otherSet("schema %s holds another set: %s is applied there, and this set has no number %d: %s", p.schema, r.title(), version, what)
		case r.Name != "" && r.Name != f.name:
			return otherSet("schema %s holds another set: %s is applied there, where this set has %s: %s", p.schema, r.Name, f.name, what)
		case r.Applied && r.Checksum != "" && r.Checksum != f.checksum:
			return otherSet("schema %s: %s was applied there with other content: it is another set's, then %s; or it was changed since, then undo that and put the change into a new file. If the tables are as it says now: update %s set checksum = null where version_id = %d",
				p.schema, f.name, what, p.table, version)
		}
	}
	return nil
}

// strangers reports whether a file of the set was applied by goose, or before there
// were names.
func (p plan) strangers(s state) bool {
	return slices.ContainsFunc(p.files, func(f file) bool { r := s.rows[f.version]; return r.Applied && (r.Name == "" || r.Checksum == "") })
}
