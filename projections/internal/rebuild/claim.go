package rebuild

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/catalog"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// renewSQL renews the lease. Between the switch and its answer the build is live, and
// still ours. Bind: $1 build, $2 epoch.
const renewSQL = `
update {asof}.builds set lease_until = case when status = 'building' then ` + books.LeaseSQL + ` end
where id = $1 and epoch = $2 and status in ('building', 'live')`

// Bind: $1 build, $2 epoch.
const releaseSQL = `update {asof}.builds set lease_until = null where id = $1 and epoch = $2 and status = 'building'`

// lockBuildingSQL locks what is being built, and tells whether somebody builds it. Bind:
// $1 name.
const lockBuildingSQL = `
select id, coalesce(lease_until > clock_timestamp(), false) from {asof}.builds where name = $1 and status = 'building' for update`

// takeSQL begins a new epoch of the lease. Bind: $1 build.
const takeSQL = `
update {asof}.builds set epoch = epoch + 1, lease_until = ` + books.LeaseSQL + ` where id = $1`

// createSQL registers a build. The index on what is building lets one through. Bind:
// $1 name, $2 version, $3 fingerprint, $4 program, $5 kind.
const createSQL = `
with made as (
    insert into {asof}.builds (name, version, status, schema_name, fingerprint, program, kind, epoch, lease_until)
    values ($1, $2, 'building', 'asof new ' || gen_random_uuid(), $3, $4, $5, 1, ` + books.LeaseSQL + `)
    on conflict do nothing returning id)
insert into {asof}.lanes (build, lane) select id, 0 from made returning build`

// Bind: $1 build, $2 schema.
const nameSQL = `update {asof}.builds set schema_name = $2 where id = $1`

// claim resumes the build that an earlier call left, or makes a new one, and takes
// the lease.
func (r *Rebuild) claim(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, r.applier.Books.Pool(), func(tx pgx.Tx) error {
		damaged, err := r.mayReplaceLive(ctx, tx, r.Back)
		if err != nil {
			return err
		}
		r.damaged = damaged
		resumed, err := r.resume(ctx, tx)
		switch {
		case err != nil || resumed:
			return err
		case r.Back:
			return r.reopen(ctx, tx)
		}
		if err := r.create(ctx, tx); err != nil || !r.First {
			return err
		}
		return r.stillFirst(ctx, tx)
	})
	if pg.Is(err, pg.UniqueViolation) { // a rebuild and a rollback, of which neither saw the other
		return fmt.Errorf("%w: %s: a rebuild is under way: wait for it, or stop it", fault.ErrBusy, r.applier.Def.Name)
	}
	if errors.Is(err, fault.ErrBusy) || errors.Is(err, fault.ErrNotBuilt) || errors.Is(err, fault.ErrFenced) || fault.Final(err) {
		return err
	}
	if err != nil {
		r.release(ctx) // a commit that failed may have happened
		return fault.Explain("begin the rebuild of "+r.applier.Def.Name, err)
	}
	if _, err := r.applier.Books.Pool().Exec(ctx, r.applier.Books.SQL(afterSkipsSQL), r.applier.Def.Name); err != nil {
		r.release(ctx)
		return fault.Explain("begin the rebuild of "+r.applier.Def.Name, err)
	}
	r.applier.Logger.InfoContext(ctx, "rebuild begins", "schema", r.b.Schema, "position", r.b.Position)
	return nil
}

// stillFirst gives errFenced when another process has made a build of the version live just
// before this one could begin.
func (r *Rebuild) stillFirst(ctx context.Context, tx pgx.Tx) error {
	b, err := r.applier.Books.FindLive(ctx, tx, r.applier.Def.Name)
	switch {
	case errors.Is(err, fault.ErrNotBuilt):
		return nil
	case err == nil && b.Version == r.applier.Def.Version:
		return fmt.Errorf("%w: %s version %d is live already", fault.ErrFenced, b.Name, b.Version)
	default:
		return err
	}
}

// afterSkipsSQL waits for skips under way, which have not seen the build: it will look what is
// skipped. Those that begin later see the build, and are refused. Bind: $1 name.
const afterSkipsSQL = `select from {asof}.builds where name = $1 and status = 'live' for share`

func (r *Rebuild) resume(ctx context.Context, tx pgx.Tx) (bool, error) {
	d := r.applier.Def
	var id int64
	var leased bool
	err := tx.QueryRow(ctx, r.applier.Books.SQL(lockBuildingSQL), d.Name).Scan(&id, &leased)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	old, err := r.applier.Books.Find(ctx, tx, id)
	switch {
	case err != nil:
		return false, err
	case leased:
		return false, fmt.Errorf("%w: %s version %d: a rebuild is under way: wait for it, or stop it", fault.ErrBusy, old.Name, old.Version)
	case old.Version != d.Version || (old.Kind == books.KindTopic) != (r.applier.Log == nil) || old.Fingerprint != d.Fingerprint() || !r.program.filledBy(old.Program):
		return false, r.applier.Books.Drop(ctx, tx, old)
	}
	_, gone, err := r.changed(ctx, tx, old)
	if err != nil {
		return false, err
	}
	if len(gone) > 0 || r.To != nil && old.Position > *r.To {
		return false, r.applier.Books.Drop(ctx, tx, old)
	}
	if _, err := tx.Exec(ctx, r.applier.Books.SQL(takeSQL), old.ID); err != nil {
		return false, err
	}
	r.b, err = r.applier.Books.Find(ctx, tx, id)
	return err == nil, err
}

func (r *Rebuild) create(ctx context.Context, tx pgx.Tx) error {
	d := r.applier.Def
	program, err := r.program.identity()
	if err != nil {
		return err
	}
	var id int64
	err = tx.QueryRow(ctx, r.applier.Books.SQL(createSQL), d.Name, d.Version, d.Fingerprint(), program, r.buildKind()).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%w: %s: a rebuild is under way: wait for it, or stop it", fault.ErrBusy, d.Name)
	}
	if err != nil {
		return err
	}
	b, err := r.applier.Books.Find(ctx, tx, id)
	if err != nil {
		return err
	}
	b.Schema = b.ShadowSchema()
	if _, err := tx.Exec(ctx, r.applier.Books.SQL(nameSQL), b.ID, b.Schema); err != nil {
		return err
	}
	if err := catalog.MakeTables(ctx, tx, b.Schema, r.applier.Def.Name, r.applier.Def.DDL); err != nil {
		return err
	}
	if err := r.noteMade(ctx, tx, b); err != nil {
		return err
	}
	_, err = r.applier.Bind(ctx, tx, b) // refuses a table that does not fit before anything is read
	r.b = b
	return err
}

// buildKind is that of a build that is made: from the log, where there is one.
func (r *Rebuild) buildKind() string {
	if r.applier.Log == nil {
		return books.KindTopic
	}
	return books.KindLog
}

// release lets the next call resume at once. It runs after ctx has ended too, and
// tries again a few times: what ended the rebuild may have broken its connections.
func (r *Rebuild) release(ctx context.Context) {
	if r.b.ID == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	for {
		_, err := r.applier.Books.Pool().Exec(ctx, r.applier.Books.SQL(releaseSQL), r.b.ID, r.b.Epoch)
		if err == nil {
			return
		}
		if wait.For(ctx, 50*time.Millisecond) != nil {
			r.applier.Logger.WarnContext(ctx, "lease not released; another rebuild can begin in 30 seconds", "error", err)
			return
		}
	}
}

// keepLease renews the lease until ctx ends, and fails when another process has taken
// it.
func (r *Rebuild) keepLease(ctx context.Context, id, epoch int64) error {
	for wait.For(ctx, books.LeaseTime/3) == nil {
		tag, err := r.applier.Books.Pool().Exec(ctx, r.applier.Books.SQL(renewSQL), id, epoch)
		if err == nil && tag.RowsAffected() == 0 && ctx.Err() == nil {
			return fmt.Errorf("%w: %s", fault.ErrFenced, r.applier.Def.Name)
		}
	}
	return nil
}
