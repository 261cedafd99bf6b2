package books

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/table"
)

// Build is a row of builds, which is one set of tables, with how far it has got.
type Build struct {
	ID          int64
	Name        string
	Version     int
	Status      string
	Schema      string
	Fingerprint string
	Program     string // that filled it
	Kind        string // of source
	Epoch       int64
	Identity    string // no other build has it, in no other store
	Position    es.Position
	Event       uuid.UUID // at Position; Nil when it is not known
	Life        uuid.UUID // of the log; Nil before the first batch
	Counter     int64     // raised by whoever writes
	Parked      int64     // units that are not applied
}

const (
	Building = "building"
	Live     = "live"
	Retired  = "retired"
)

// Kinds of source. From the log, the position alone tells what is applied; from Kafka
// the versions of each stream do, with the log behind them or without one.
const (
	KindLog   = "log"
	KindKafka = "kafka"
	KindTopic = "topic"
)

// SelectBuilds reads builds; a condition comes behind it. In a statement that locks
// them it would read the lanes as they were before the lock: lock first.
const SelectBuilds = `
select b.id, b.name, b.version, b.status, b.schema_name, b.fingerprint, b.program, b.kind, b.epoch, b.identity::text, l.position, l.event_id, l.counter, (select sum(parked) from {asof}.lanes where build = b.id)::bigint, b.life
from {asof}.builds b join {asof}.lanes l on l.build = b.id and l.lane = 0 `

// ScanBuild reads a row of SelectBuilds.
func ScanBuild(row pgx.CollectableRow) (Build, error) {
	var b Build
	return b, b.scan(row)
}

func (b *Build) scan(row pgx.CollectableRow) error {
	var event, life *uuid.UUID
	err := row.Scan(&b.ID, &b.Name, &b.Version, &b.Status, &b.Schema, &b.Fingerprint, &b.Program, &b.Kind, &b.Epoch, &b.Identity,
		(*int64)(&b.Position), &event, &b.Counter, &b.Parked, &life)
	b.Event, b.Life = OrNil(event), OrNil(life)
	return err
}

// ShadowSchema names the schema of a build that is not live. It is never used
// twice, so that no connection knows another table by the name.
func (b Build) ShadowSchema() string { return fmt.Sprintf("%s_v%d_b%d", b.Name, b.Version, b.ID) }

// Place is where its tables are.
func (b Build) Place() table.Place {
	return table.Place{Schema: b.Schema, Tag: fmt.Sprintf("build %d", b.ID)}
}

// Mine reports a build whose tables nobody else reads or writes.
func (b Build) Mine() bool { return b.Status == Building }

// Empty reports a build that nothing was applied to.
func (b Build) Empty() bool { return b.Mine() && b.Counter == 0 }

// Bind: $1 name.
const liveSQL = SelectBuilds + `where b.name = $1 and b.status = 'live'`

// Bind: $1 build.
const buildSQL = SelectBuilds + `where b.id = $1`

// FindLive returns the live build of a projection, or [fault.ErrNotBuilt].
func (k Books) FindLive(ctx context.Context, db pg.Querier, name string) (Build, error) {
	rows, err := db.Query(ctx, k.SQL(liveSQL), name)
	if err != nil {
		return Build{}, fault.Explain("find the live build", err)
	}
	b, err := pgx.CollectExactlyOneRow(rows, ScanBuild)
	if errors.Is(err, pgx.ErrNoRows) {
		return Build{}, fmt.Errorf("%w: %s: run the projector or rebuild", fault.ErrNotBuilt, name)
	}
	if err != nil {
		return Build{}, fault.Explain("find the live build", err)
	}
	return b, nil
}

// Find reads a build.
func (k Books) Find(ctx context.Context, db pg.Querier, id int64) (Build, error) {
	rows, err := db.Query(ctx, k.SQL(buildSQL), id)
	if err != nil {
		return Build{}, err
	}
	return pgx.CollectExactlyOneRow(rows, ScanBuild)
}

// lockAllSQL takes the turn of all builds of a projection. Bind: $1 name.
const lockAllSQL = `select from {asof}.builds where name = $1 order by id for update`

// lockAllLanesSQL takes the turn of their lanes. Bind: $1 name.
const lockAllLanesSQL = `
select from {asof}.lanes where build in (select id from {asof}.builds where name = $1) order by build, lane for update`

// LockAll keeps everybody from writing to any build of a projection, and returns how many
// there are.
func (k Books) LockAll(ctx context.Context, tx pgx.Tx, name string) (int64, error) {
	tag, err := tx.Exec(ctx, k.SQL(lockAllSQL), name)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, k.SQL(lockAllLanesSQL), name)
	return tag.RowsAffected(), err
}
