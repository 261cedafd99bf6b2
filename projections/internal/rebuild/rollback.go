package rebuild

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// reopenSQL takes up the last retired build as one that is building. Bind: $1 name,
// $2 version, $3 fingerprint.
const reopenSQL = `
update {asof}.builds
set status = 'building', epoch = epoch + 1, lease_until = ` + books.LeaseSQL + `
where id = (select id from {asof}.builds
            where name = $1 and status = 'retired' and version = $2 and fingerprint = $3
            order by updated_at desc, id desc limit 1)
returning id`

func (r *Rebuild) reopen(ctx context.Context, tx pgx.Tx) (err error) {
	d := r.applier.Def
	var id int64
	err = tx.QueryRow(ctx, r.applier.Books.SQL(reopenSQL), d.Name, d.Version, d.Fingerprint()).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%w: version %d of %s is not kept: rebuild it", fault.ErrNotBuilt, d.Version, d.Name)
	}
	if err != nil {
		return err
	}
	if r.b, err = r.applier.Books.Find(ctx, tx, id); err != nil {
		return err
	}
	if (r.b.Kind == books.KindTopic) != (r.applier.Log == nil) {
		return fmt.Errorf("%w: the kept version %d of %s was fed from another kind of source: rebuild it", fault.ErrNotBuilt, d.Version, d.Name)
	}
	_, gone, err := r.changed(ctx, tx, r.b)
	if err == nil && len(gone) > 0 {
		err = fmt.Errorf("%w: the kept version %d of %s is damaged (%s): rebuild it", fault.ErrNotBuilt, d.Version, d.Name, gone[0])
	}
	return err
}
