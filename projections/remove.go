package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// DropBuild drops a build that is kept, or whose rebuild was stopped, with its tables and
// all that is known of it, and returns what it was. Its rows cannot be had back: Rollback
// has nothing to go back to, and a rebuild begins anew.
//
// The live build gives [ErrLive], one that a rebuild holds or whose tables are in use gives
// [ErrBusy], one that others depend on gives [ErrDependents], and none of that number gives
// [ErrNotBuilt]. Nothing is dropped then.
func DropBuild(ctx context.Context, target Target, name string, id int64) (Build, error) {
	list, err := dropBuilds(ctx, books.Of(target), name, &id)
	if err != nil {
		return Build{}, err
	}
	return list[0], nil
}

// DropProjection drops all builds of a projection, the live one too, and with them what it
// skips, and so takes it out of the books. It is for one that no program has any more: a
// projector that still runs builds it again. A projector or a rebuild that holds a build
// right now, and tables that are in use, give [ErrBusy]; what else is refused is as with
// [DropBuild]. All are dropped or none.
func DropProjection(ctx context.Context, target Target, name string) ([]Build, error) {
	return dropBuilds(ctx, books.Of(target), name, nil)
}

// holdSQL locks builds, and does not wait for whoever holds one. Bind: $1 name, $2 build;
// null means all.
const holdSQL = `select id from {asof}.builds where name = $1 and ($2::bigint is null or id = $2) order by id for update nowait`

// holdLanesSQL does it for their lanes. Bind: $1 builds.
const holdLanesSQL = `select build, lane from {asof}.lanes where build = any($1) order by build, lane for update nowait`

// Bind: $1 builds.
const heldSQL = books.SelectBuilds + `where b.id = any($1) order by b.id`

// dropBuilds drops one build, or all when none is given, in one transaction.
func dropBuilds(ctx context.Context, k books.Books, name string, id *int64) (dropped []Build, err error) {
	err = pgx.BeginTxFunc(ctx, k.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, pg.NoStatementTimeoutSQL); err != nil {
			return err
		}
		builds, err := hold(ctx, tx, k, name, id)
		if err != nil {
			return err
		}
		if dropped, err = mayDrop(ctx, tx, k, name, builds, id != nil); err != nil {
			return err
		}
		for _, b := range builds {
			if err := k.Drop(ctx, tx, b); pg.Is(err, pg.LockNotAvailable) {
				return fmt.Errorf("%w: somebody uses the tables of %s: try again when nobody does: %w", fault.ErrBusy, b.Schema, err)
			} else if err != nil {
				return err
			}
		}
		if id != nil {
			return nil
		}
		for _, books := range []string{"paused", "skips"} {
			if _, err := tx.Exec(ctx, k.SQL(`delete from {asof}.`+books+` where name = $1`), name); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err == nil:
		return dropped, nil
	case errors.Is(err, fault.ErrNotBuilt) || errors.Is(err, fault.ErrLive) || errors.Is(err, fault.ErrBusy) || errors.Is(err, fault.ErrDependents):
		return nil, err
	default:
		return nil, fault.Explain("drop builds of "+name, err)
	}
}

// hold locks builds, and then reads them: whoever wants to write to one, to switch it or
// to take it up waits, and finds that it is gone.
func hold(ctx context.Context, tx pgx.Tx, k books.Books, name string, id *int64) ([]books.Build, error) {
	rows, err := tx.Query(ctx, k.SQL(holdSQL), name, id)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	switch {
	case pg.Is(err, pg.LockNotAvailable):
		return nil, fmt.Errorf("%w: a projector or a rebuild of %s is writing: stop it, and try again: %w", fault.ErrBusy, name, err)
	case err != nil:
		return nil, err
	case len(ids) == 0 && id == nil:
		return nil, fmt.Errorf("%w: the books have no projection %s", fault.ErrNotBuilt, name)
	case len(ids) == 0:
		return nil, fmt.Errorf("%w: %s has no build %d", fault.ErrNotBuilt, name, *id)
	}
	if _, err := tx.Exec(ctx, k.SQL(holdLanesSQL), ids); pg.Is(err, pg.LockNotAvailable) {
		return nil, fmt.Errorf("%w: a projector of %s is writing: stop it, and try again: %w", fault.ErrBusy, name, err)
	} else if err != nil {
		return nil, err
	}
	if rows, err = tx.Query(ctx, k.SQL(heldSQL), ids); err != nil {
		return nil, err
	}
	builds, err := pgx.CollectRows(rows, books.ScanBuild)
	if err == nil && len(builds) != len(ids) {
		err = fmt.Errorf("of builds %d only %d have a row in lanes: somebody has deleted it: insert one, of lane 0", ids, len(builds))
	}
	return builds, err
}

// mayDrop refuses builds that are locked and yet not to be dropped, and returns what they
// are.
func mayDrop(ctx context.Context, tx pgx.Tx, k books.Books, name string, builds []books.Build, single bool) ([]Build, error) {
	all, _, err := readBuilds(ctx, tx, k, []string{name})
	if err != nil {
		return nil, err
	}
	held := slices.DeleteFunc(all, func(b Build) bool {
		return !slices.ContainsFunc(builds, func(h books.Build) bool { return h.ID == b.ID })
	})
	for _, b := range held {
		switch {
		case b.Active:
			return nil, fmt.Errorf("%w: a rebuild holds %s: wait for it; or stop it, and try again at once, or in 30 seconds if it was killed", fault.ErrBusy, b)
		case single && b.State == BuildLive:
			return nil, fmt.Errorf("%w: %s: it goes when another is live: rebuild or roll back; of a projection that no program has any more, drop the whole", fault.ErrLive, b)
		}
	}
	return held, nil
}
