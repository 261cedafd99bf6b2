package rebuild

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/catalog"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// What operators put on a live table stays with it when another takes its name: a reader
// would see rows that a policy hides, or an index would be missed. Privileges are given to
// the new tables. All else is noted when the DDL has made them, and what has come since is
// named before a rebuild begins.

// noteMadeSQL keeps what the DDL has made. Bind: $1 build, $2 list.
const noteMadeSQL = `update {asof}.builds set made = $2 where id = $1`

func (r *Rebuild) noteMade(ctx context.Context, tx pgx.Tx, b books.Build) error {
	made, err := catalog.Stands(ctx, tx, b.Schema)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, r.applier.Books.SQL(noteMadeSQL), b.ID, made)
	return err
}

// Bind: $1 build.
const madeSQL = `select made from {asof}.builds where id = $1`

// changed compares what stands on the tables of a build with what its DDL has made: what
// has come since, and what is gone or of another type. Of a build of before that was noted
// nothing is known.
func (r *Rebuild) changed(ctx context.Context, db pg.Querier, b books.Build) (since, gone []string, err error) {
	var made []string
	if err := db.QueryRow(ctx, r.applier.Books.SQL(madeSQL), b.ID).Scan(&made); err != nil || made == nil {
		return nil, nil, err
	}
	now, err := catalog.Stands(ctx, db, b.Schema)
	if err != nil {
		return nil, nil, err
	}
	return catalog.Without(now, made), catalog.Without(made, now), nil
}

// examine names what has come onto the tables of the live build since its DDL made them,
// and reports tables that somebody has dropped or changed: these are replaced as they are.
// A column of another type is damage.
func (r *Rebuild) examine(ctx context.Context, tx pgx.Tx, b books.Build) (damaged bool, err error) {
	since, gone, err := r.changed(ctx, tx, b)
	if err != nil {
		return false, err
	}
	since = slices.DeleteFunc(since, func(what string) bool { return strings.HasPrefix(what, "type of column ") })
	if len(since) > 0 {
		return false, fmt.Errorf("%w: %s: %s: put it into the definition's DDL and drop it, rebuild, and it is there again; or make it again after the rebuild", fault.ErrByHand, b.Schema, strings.Join(since, ", "))
	}
	if len(gone) > 0 {
		r.applier.Logger.WarnContext(ctx, "the live tables are damaged, and are replaced without a comparison", "gone", strings.Join(gone, ", "))
	}
	return len(gone) > 0, nil
}
