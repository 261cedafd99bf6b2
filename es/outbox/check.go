package outbox

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/internal/pg"
)

// adoptSQL keeps the store's life with the first checkpoint. Bind: $1 epoch, $2 life.
const adoptSQL = `update {asof}.relay set life = $2 where epoch = $1`

// headSQL is where the log ends. Bind: nothing.
const headSQL = `select coalesce(max(position), 0) from {asof}.events`

// check refuses a database that is not the one which the checkpoint is of. What the
// log does not have any more at the checkpoint's place, the store refuses with every
// page.
func (t *term) check(ctx context.Context) error {
	life, err := t.relay.store.Life(ctx)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	if t.life == uuid.Nil {
		t.life = life
		return t.write(ctx, "keep the store's life", adoptSQL, t.epoch, life)
	}
	if t.life != life {
		return fmt.Errorf("%w: the checkpoint is of life %s and the store lives %s: %s", ErrRestored, t.life, life, howToRepair())
	}
	var head int64
	if err := t.relay.store.Pool().QueryRow(ctx, t.relay.q(headSQL)).Scan(&head); err != nil {
		return explain("look at the checkpoint", err)
	}
	if head < int64(t.position) {
		return fmt.Errorf("%w: the log ends at position %d and the checkpoint is at %d: %s", ErrRestored, head, t.position, howToRepair())
	}
	return t.verify(ctx)
}

// verify asks the store whether it is still the one that was read.
func (t *term) verify(ctx context.Context) error {
	if err := t.relay.store.Verify(ctx, t.checkpoint()); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return nil
}

func howToRepair() string {
	return "see what was lost and what Kafka has beyond it, then say from which position to go on, by the command `" + pg.Program() + " repair` or outbox.Repair"
}
