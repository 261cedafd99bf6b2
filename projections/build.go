package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// build is a row of projection_builds: one set of tables.
type build struct {
	ID          int64
	Name        string
	Version     int
	Status      string
	Schema      string
	Fingerprint string
	Position    es.Position
	Epoch       int64
	Identity    string    // no other build has it, in no other store
	Event       uuid.UUID // at Position; Nil when it is not known
}

// checkpoint is where the build stands in the log. The books lie in the log's own
// database, and are restored with it: so the life of the store is not compared.
func (b build) checkpoint() es.Checkpoint {
	return es.Checkpoint{Position: b.Position, EventID: b.Event}
}

const (
	building = "building"
	live     = "live"
	retired  = "retired"
)

const buildColumns = `id, name, version, status, schema_name, fingerprint, position, epoch, identity::text, event_id`

func scanBuild(row pgx.CollectableRow) (build, error) {
	var b build
	return b, b.scan(row)
}

// scan reads buildColumns, and what comes behind them.
func (b *build) scan(row pgx.CollectableRow, more ...any) error {
	var event *uuid.UUID
	err := row.Scan(append([]any{&b.ID, &b.Name, &b.Version, &b.Status, &b.Schema, &b.Fingerprint, (*int64)(&b.Position), &b.Epoch, &b.Identity, &event}, more...)...)
	if event != nil {
		b.Event = *event
	}
	return err
}

// shadowSchema names the schema of a build that is not live. It is never used
// twice, so that no connection knows another table by the name.
func (b build) shadowSchema() string { return fmt.Sprintf("%s_v%d_b%d", b.Name, b.Version, b.ID) }

func (b build) target(bulk bool) target {
	mine := b.Status == building // then nobody else reads or writes the tables
	return target{schema: b.Schema, tag: fmt.Sprintf("build %d", b.ID), fresh: mine && b.Position == 0, bulk: mine && bulk}
}

// querier is a pool, a connection or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Bind: $1 name.
const liveSQL = `select ` + buildColumns + ` from {asof}.projection_builds where name = $1 and status = 'live'`

// live returns the live build, or [ErrNotBuilt].
func (p *Projector) live(ctx context.Context) (build, error) {
	if p.invalid != nil {
		return build{}, p.invalid
	}
	return findLive(ctx, p.store.Pool(), p.q(liveSQL), p.def.name)
}

func findLive(ctx context.Context, db querier, sql, name string) (build, error) {
	rows, err := db.Query(ctx, sql, name)
	if err != nil {
		return build{}, explain("find the live build", err)
	}
	b, err := pgx.CollectExactlyOneRow(rows, scanBuild)
	if errors.Is(err, pgx.ErrNoRows) {
		return build{}, fmt.Errorf("%w: %s: run the projector or rebuild", ErrNotBuilt, name)
	}
	if err != nil {
		return build{}, explain("find the live build", err)
	}
	return b, nil
}

// explain wraps an error of the database.
func explain(what string, err error) error { return pg.Explain("projections", what, err) }

// searchPathSQL makes unqualified names mean a build's tables until the transaction
// ends; what the connection had comes after. Bind: $1 schema.
const searchPathSQL = `select set_config('search_path', concat_ws(', ', quote_ident($1::text), nullif(current_setting('search_path'), '')), true)`

// bind returns what applies events to a build's tables. The search path is on them.
func (p *Projector) bind(ctx context.Context, tx pgx.Tx, b build) (applier, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.bound[b.ID]; a != nil {
		return a, nil
	}
	a, err := p.def.bind(ctx, tx, b.Schema)
	if err == nil {
		p.bound[b.ID] = a
	}
	return a, err
}
