package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/source"
)

// Paused says that nothing is applied to a live read model, since when and why.
type Paused struct {
	Reason string
	Since  time.Time
}

// pauseSQL pauses a projection, or says why it is paused now. Bind: $1 name, $2 reason.
const pauseSQL = `
insert into {asof}.paused (name, reason) values ($1, $2)
on conflict (name) do update set reason = excluded.reason`

// Pause stops the projectors of a projection, wherever they run: when it returns, nothing
// is applied to the live read model any more until [Resume]. Readers see it as it is then;
// what WaitFor waits for does not come. Rebuilds, retries and skips go on, since somebody
// asks for them. It needs no definition.
//
// A projection that the books do not have gives [ErrNotBuilt].
func Pause(ctx context.Context, target Target, name, reason string) error {
	k := books.Of(target)
	err := pgx.BeginTxFunc(ctx, k.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		builds, err := k.LockAll(ctx, tx, name) // a batch that is written ends before; one that is folded will be refused
		if err != nil {
			return err
		}
		if builds == 0 {
			return fmt.Errorf("%w: the books have no projection %s", fault.ErrNotBuilt, name)
		}
		_, err = tx.Exec(ctx, k.SQL(pauseSQL), name, pg.Storable(reason))
		return err
	})
	if errors.Is(err, fault.ErrNotBuilt) {
		return err
	}
	return fault.Explain("pause "+name, err)
}

// resumeSQL ends a pause. Bind: $1 name.
const resumeSQL = `delete from {asof}.paused where name = $1`

// Resume lets the projectors of a projection go on: within a second, or within five after a
// Rewind that they have not noticed yet. It reports whether the projection was paused; one
// that the books do not have was not.
func Resume(ctx context.Context, target Target, name string) (bool, error) {
	tag, err := target.Pool().Exec(ctx, books.Of(target).SQL(resumeSQL), name)
	if err != nil {
		return false, fault.Explain("resume "+name, err)
	}
	return tag.RowsAffected() > 0, nil
}

// awaitResume waits while the projection is paused.
func (p *Projector) awaitResume(ctx context.Context) error {
	for told := false; ; told = true {
		paused, err := p.apply.Books.Paused(ctx, p.apply.Books.Pool(), p.apply.Def.Name)
		if err != nil {
			return fault.Explain("ask whether "+p.apply.Def.Name+" is paused", err)
		}
		if paused == nil {
			return nil
		}
		if !told {
			p.apply.Logger.InfoContext(ctx, "is paused", "reason", paused.Reason, "since", paused.Since)
		}
		if err := wait.For(ctx, source.IdleEvery); err != nil {
			return err
		}
	}
}
