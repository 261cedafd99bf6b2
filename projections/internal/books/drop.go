package books

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections/internal/catalog"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/table"
)

// forgetSQL takes a build out of the books, if it is still what the caller thinks. Bind:
// $1 build, $2 status, $3 epoch.
const forgetSQL = `delete from {asof}.builds where id = $1 and status = $2 and epoch = $3`

// Drop removes a build, with its tables and what is known of it. One that another
// process has taken over or made live meanwhile gives errFenced and stays; one
// that others depend on gives [ErrDependents]. Its tables are locked before that is asked,
// so that nobody begins to depend on them in between.
func (k Books) Drop(ctx context.Context, tx pgx.Tx, b Build) error {
	if _, err := tx.Exec(ctx, `select set_config('lock_timeout', '2s', true)`); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, k.SQL(forgetSQL), b.ID, b.Status, b.Epoch)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("%w: %s version %d, build %d", fault.ErrFenced, b.Name, b.Version, b.ID)
	}
	for _, table := range []string{"lanes", "sums", "dedup", "offsets", "parked", "lives", "gaps"} {
		if _, err := tx.Exec(ctx, k.SQL(`delete from {asof}.`+table+` where build = $1`), b.ID); err != nil {
			return err
		}
	}
	if err := catalog.LockTables(ctx, tx, b.Schema); err != nil {
		return err
	}
	if err := catalog.RefuseDependents(ctx, tx, b.Schema, "drop them first"); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `drop schema if exists `+table.Quote(b.Schema)+` cascade`)
	return err
}
