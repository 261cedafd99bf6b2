package rebuild

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/catalog"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
	"github.com/asof-dev/asof/projections/internal/table"
)

// Bind: $1 build, $2 status, $3 schema.
const becomeSQL = `
update {asof}.builds
set status = $2, schema_name = $3, lease_until = null, failure = null, updated_at = clock_timestamp() where id = $1`

// offsetsSQL gives the shadow the old build's offsets: it has applied all that was
// read up to them. Bind: $1 shadow, $2 old build.
const offsetsSQL = `
insert into {asof}.offsets (build, topic, partition, next_offset, position, event_id)
select $1, topic, partition, next_offset, position, event_id from {asof}.offsets where build = $2
on conflict (build, topic, partition) do update set next_offset = excluded.next_offset, position = excluded.position, event_id = excluded.event_id`

// rename makes the shadow live and retires the old build, in the transaction that
// holds the locks of both.
func (r *Rebuild) rename(ctx context.Context, tx pgx.Tx, old, shadow *books.Build, back bool) error {
	if _, err := r.mayReplaceLive(ctx, tx, back); err != nil {
		return err
	}
	batch := &pgx.Batch{}
	if old != nil {
		grants, err := catalog.Privileges(ctx, tx, old.Schema, shadow.Schema, back || old.Fingerprint == shadow.Fingerprint)
		if err != nil {
			return err
		}
		for _, grant := range grants {
			batch.Queue(grant)
		}
		aside := old.ShadowSchema()
		there, err := catalog.Exists(ctx, tx, old.Schema)
		if err != nil {
			return err
		}
		if there {
			batch.Queue(`alter schema ` + table.Quote(old.Schema) + ` rename to ` + table.Quote(aside))
		}
		batch.Queue(r.applier.Books.SQL(becomeSQL), old.ID, books.Retired, aside)
		batch.Queue(r.applier.Books.SQL(offsetsSQL), shadow.ID, old.ID)
	}
	batch.Queue(`alter schema ` + table.Quote(shadow.Schema) + ` rename to ` + table.Quote(shadow.Name))
	batch.Queue(r.applier.Books.SQL(becomeSQL), shadow.ID, books.Live, shadow.Name)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("rename the schemas: %w", err)
	}
	shadow.Status, shadow.Schema = books.Live, shadow.Name
	return nil
}

// foreignSQL asks whether a schema exists that no live build has. In one statement:
// another process may switch between two, and the schema is then a projection's. Bind:
// $1 schema.
const foreignSQL = `
select exists (select from pg_namespace where nspname = $1)
   and not exists (select from {asof}.builds where name = $1 and status = 'live')`

// TooOld says that a program is older than what is live.
func TooOld(d *fold.Definition, b books.Build) error {
	return fmt.Errorf("%w: %s version %d is live and this program has version %d: deploy the newer program, or roll back", fault.ErrNewerVersion, b.Name, b.Version, d.Version)
}

// mayReplaceLive refuses when the live schema cannot be renamed away: its version is
// newer and this is no way back, somebody depends on its tables, or it is none of ours.
func (r *Rebuild) mayReplaceLive(ctx context.Context, tx pgx.Tx, back bool) (damaged bool, err error) {
	old, err := r.applier.Books.FindLive(ctx, tx, r.applier.Def.Name)
	if errors.Is(err, fault.ErrNotBuilt) {
		return false, r.refuseForeign(ctx, tx)
	}
	if err != nil {
		return false, err
	}
	if old.Version > r.applier.Def.Version && !back {
		return false, TooOld(r.applier.Def, old)
	}
	if err := catalog.RefuseDependents(ctx, tx, old.Schema, "drop them, rebuild, and make them again"); err != nil {
		return false, err
	}
	return r.examine(ctx, tx, old)
}

func (r *Rebuild) refuseForeign(ctx context.Context, tx pgx.Tx) error {
	var foreign bool
	if err := tx.QueryRow(ctx, r.applier.Books.SQL(foreignSQL), r.applier.Def.Name).Scan(&foreign); err != nil {
		return err
	}
	if foreign {
		return fmt.Errorf("%w: %q: the database has a schema of that name which is no projection: rename one of them", fault.ErrInvalid, r.applier.Def.Name)
	}
	return nil
}

// olderSQL lists the builds that are kept no longer: all retired ones but the last.
// Bind: $1 name.
const olderSQL = `
` + books.SelectBuilds + `
where b.name = $1 and b.status = 'retired' order by b.updated_at desc, b.id desc offset 1`

// dropRetired keeps one retired build. What cannot be dropped now is left to the next
// switch.
func (r *Rebuild) dropRetired(ctx context.Context, name string) {
	rows, err := r.applier.Books.Pool().Query(ctx, r.applier.Books.SQL(olderSQL), name)
	if err == nil {
		var builds []books.Build
		builds, err = pgx.CollectRows(rows, books.ScanBuild)
		for _, b := range builds {
			err = pgx.BeginFunc(ctx, r.applier.Books.Pool(), func(tx pgx.Tx) error {
				return r.applier.Books.Drop(ctx, tx, b)
			})
			if err != nil {
				break
			}
		}
	}
	if err != nil && ctx.Err() == nil {
		r.applier.Logger.WarnContext(ctx, "an old version is still there and will be dropped after the next rebuild", "error", err)
	}
}
