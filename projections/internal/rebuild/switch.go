package rebuild

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/catalog"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// How the switch works.
//
// A transaction takes the row locks of the live build and of the shadow, so both
// stand still; readers do not notice. It applies to the shadow what the live build
// has and it has not, compares the two where they should be equal, gives the shadow
// the privileges of the live tables, and renames the schemas. Renaming locks no
// table, and a name is looked up in one snapshot of the catalog, so a reader finds
// the old table or the new one, never none.

const (
	switchTries   = 50
	switchTimeout = 30 * time.Second // of one try, comparing included
)

// errBehind: the live build got too far ahead to catch up under the lock.
var errBehind = errors.New("projections: the shadow is behind")

// errRefused: the database refuses what an event of the last ones comes to.
var errRefused = errors.New("projections: an event cannot be applied in the switch")

// switchOver makes the shadow live. What only waits is tried again.
func (r *Rebuild) switchOver(ctx context.Context) error {
	backoff := wait.Backoff{First: 20 * time.Millisecond, Last: time.Second}
	for try := 1; ; try++ {
		err := r.trySwitch(ctx)
		switch {
		case err == nil:
			r.applier.TellParked(ctx, r.parked)
			r.applier.Logger.InfoContext(ctx, "switched", "build", r.b.ID, "position", r.b.Position, "differing", r.progress.Differing)
			r.tell("live")
			return nil
		case try == switchTries || ctx.Err() != nil || !retryable(err):
			return wrapSwitch(r.b.Name, err)
		}
		r.applier.Logger.InfoContext(ctx, "switch waits", "error", err)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errRefused) {
			r.blind = true
		}
		if err := backoff.Wait(ctx); err != nil {
			return err
		}
		if err := r.reload(ctx); err != nil {
			return err
		}
	}
}

func wrapSwitch(name string, err error) error {
	if fault.Final(err) || errors.Is(err, fault.ErrFenced) {
		return err
	}
	return fault.Wrap("switch "+name, err)
}

func retryable(err error) bool {
	if errors.Is(err, errRefused) {
		return true
	}
	if pg.Code(err) != "" {
		return pg.Is(err, pg.LockNotAvailable) || pg.LostRace(err)
	}
	return errors.Is(err, errBehind) || errors.Is(err, context.DeadlineExceeded)
}

// reload catches up after a switch that did not come about.
func (r *Rebuild) reload(ctx context.Context) error {
	if r.applier.Log == nil {
		return r.fillTopics(ctx)
	}
	head, err := r.end(ctx)
	if err != nil {
		return err
	}
	return r.fill(ctx, head)
}

// lockBothSQL locks the live build and the shadow, always in the same order. Bind: $1
// name.
const lockBothSQL = `
select from {asof}.builds where name = $1 and status in ('live', 'building') order by id for update`

// lockTheirLanesSQL takes the turn of their lanes. Bind: $1 name.
const lockTheirLanesSQL = `
select from {asof}.lanes where build in (select id from {asof}.builds where name = $1 and status in ('live', 'building')) order by build, lane for update`

// Bind: $1 name.
const bothSQL = books.SelectBuilds + `where b.name = $1 and b.status in ('live', 'building')`

func (r *Rebuild) trySwitch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.Patience)
	defer cancel()
	if err := r.bringLive(ctx); err != nil {
		return err
	}
	shadow := r.b
	r.parked = nil
	var differing int64
	compared, blind := false, r.blind
	err := pgx.BeginTxFunc(ctx, r.applier.Books.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		old, err := r.lockBoth(ctx, tx, &shadow)
		if err != nil {
			return err
		}
		paused, err := r.applier.Books.Paused(ctx, tx, shadow.Name)
		if err != nil {
			return err
		}
		blind = r.blind || r.To != nil || paused != nil || r.applier.Log == nil
		switch {
		case r.applier.Log == nil:
			err = r.levelTopics(ctx, tx, old, &shadow)
		case r.To == nil:
			err = r.level(ctx, tx, old, &shadow, blind)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, apply.ConstraintsSQL); err != nil { // else the commit would be refused
			return r.refusedInSwitch(err)
		}
		if old != nil && r.alike(*old, shadow) && !blind {
			if differing, err = catalog.Compare(ctx, tx, old.Schema, shadow.Schema); err != nil {
				return fmt.Errorf("compare the tables: %w", err)
			}
			compared = true
		}
		return r.rename(ctx, tx, old, &shadow, r.Back)
	})
	if err != nil {
		return err
	}
	r.b, r.progress.Differing, r.progress.Compared = shadow, differing, compared
	return nil
}

// alike reports builds that are equal at the same position.
func (r *Rebuild) alike(a, b books.Build) bool {
	return a.Version == b.Version && a.Fingerprint == b.Fingerprint && a.Kind != books.KindTopic && b.Kind != books.KindTopic && r.ofOneLog(a, b) && !r.damaged
}

// ofOneLog reports builds whose positions mean the same events. A build of another life of
// the store is replaced as it is: the new one has less, since events were lost.
func (r *Rebuild) ofOneLog(a, b books.Build) bool { return r.applier.Beside() || a.Life == b.Life }

// bringLive catches the live build up before the lock, when it will be compared: its own
// projector may not run. One that is paused stands still, and is not compared.
func (r *Rebuild) bringLive(ctx context.Context) error {
	old, err := r.applier.Live(ctx)
	if errors.Is(err, fault.ErrNotBuilt) || err == nil && !r.alike(old, r.b) || r.To != nil || r.applier.Log == nil {
		return nil
	}
	for err == nil && old.Position+es.Position(r.short()) < r.b.Position {
		var n int
		if old, n, err = r.feed.Pull(ctx, old, apply.PageEvents); n == 0 && err == nil {
			err = wait.For(ctx, r.feed.Poll)
		}
	}
	if errors.Is(err, fault.ErrFenced) { // it is paused, or not live any more: the switch will see
		return nil
	}
	return err
}

// lockBoth returns the live build, nil when there is none.
func (r *Rebuild) lockBoth(ctx context.Context, tx pgx.Tx, shadow *books.Build) (*books.Build, error) {
	if _, err := tx.Exec(ctx, `select set_config('lock_timeout', '2s', true), set_config('idle_in_transaction_session_timeout', '60s', true), set_config('statement_timeout', '0', true)`); err != nil {
		return nil, err
	}
	for _, sql := range []string{lockBothSQL, lockTheirLanesSQL} {
		if _, err := tx.Exec(ctx, r.applier.Books.SQL(sql), r.b.Name); err != nil {
			return nil, err
		}
	}
	rows, err := tx.Query(ctx, r.applier.Books.SQL(bothSQL), r.b.Name)
	if err != nil {
		return nil, err
	}
	builds, err := pgx.CollectRows(rows, books.ScanBuild)
	if err != nil {
		return nil, err
	}
	var old *books.Build
	mine := false
	for _, b := range builds {
		if b.Status == books.Live {
			old = &b
		} else if b.ID == shadow.ID && b.Epoch == shadow.Epoch {
			*shadow, mine = b, true
		}
	}
	if !mine {
		return nil, fmt.Errorf("%w: %s version %d, build %d", fault.ErrFenced, shadow.Name, shadow.Version, shadow.ID)
	}
	return old, nil
}

// level brings the shadow up to what the live build has applied, and the live build
// up to the shadow unless they are not compared. What the database refuses of it ends the
// try: it is parked outside.
func (r *Rebuild) level(ctx context.Context, tx pgx.Tx, old, shadow *books.Build, blind bool) error {
	if old == nil || !r.ofOneLog(*old, *shadow) || old.Kind == books.KindTopic {
		return nil
	}
	reach, err := r.applier.Reach(ctx, tx, *old)
	if err != nil {
		return err
	}
	if reach.Position > shadow.Position+nearly {
		return errBehind
	}
	if err := r.advance(ctx, tx, shadow, reach.Position); err != nil {
		return err
	}
	if !r.alike(*old, *shadow) || blind {
		return nil
	}
	return r.advance(ctx, tx, old, shadow.Position)
}

// advance applies the log up to a settled position inside the switch.
func (r *Rebuild) advance(ctx context.Context, tx pgx.Tx, b *books.Build, upTo es.Position) error {
	wanted := 0
	return r.applier.ReadLog(ctx, r.applier.Checkpoint(*b), upTo, apply.PageEvents, func(page []es.RecordedEvent) error {
		for i := range page {
			if r.applier.Def.Wants(page[i].Stream.Category) {
				wanted++
			}
		}
		if wanted > r.short() {
			return errBehind
		}
		return r.inSwitch(ctx, tx, b, &apply.Work{Events: page, Position: page[len(page)-1].Position})
	})
}

// inSwitch is commit without a transaction of its own.
func (r *Rebuild) inSwitch(ctx context.Context, tx pgx.Tx, b *books.Build, w *apply.Work) error {
	parked, err := r.applier.InTx(ctx, tx, b, w)
	if err != nil {
		return r.refusedInSwitch(err)
	}
	r.parked = append(r.parked, parked...)
	return nil
}

func (r *Rebuild) refusedInSwitch(err error) error {
	if r.applier.Refused(err) {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}
