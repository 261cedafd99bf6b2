package reactions

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// skipSQL takes a message out and keeps why. No row: somebody else has. Bind: $1 number,
// $2 reason, $3 reaction.
const skipSQL = `
with gone as (delete from {asof}.parked_messages where reaction = $3 and id = $1 returning *)
insert into {asof}.skipped_messages (id, reaction, message_id, topic, partition, "offset", event_id, category, stream_id, type, reason)
select id, reaction, message_id, topic, partition, "offset", event_id, category, stream_id, type, $2 from gone`

// Skip leaves a parked message out, by its number, for good: it is never reacted to. The
// reason is kept, the payload is not. What waits behind the first of a sequence is tried
// again; an error of that says that the message is skipped all the same. Where another is
// skipped nothing is tried, as the first is parked still. [ErrNotParked] when there is none
// of the number, and [es.ErrInvalid] for a reason that says nothing.
func (r *Reactor) Skip(ctx context.Context, number int64, why string) (Retried, error) {
	if r.refused != nil {
		return Retried{}, r.refused
	}
	if strings.TrimSpace(why) == "" {
		return Retried{}, fmt.Errorf("reactions: %w: say why message %d is skipped", es.ErrInvalid, number)
	}
	p, err := r.find(ctx, number)
	if err != nil {
		return Retried{}, r.explain("skip a message", err)
	}
	var first int64
	err = r.transact(ctx, func(tx pgx.Tx) error {
		if err := r.lock(ctx, tx, p.sequence); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, r.q(firstSQL), r.name, p.sequence).Scan(&first); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, r.q(skipSQL), number, pg.Storable(why), r.name)
		if err == nil && tag.RowsAffected() == 0 {
			err = fmt.Errorf("%w: somebody else has retried or skipped message %d of %s", ErrNotParked, number, r.name)
		}
		if err != nil {
			return err
		}
		return r.inbox.RenewInTx(ctx, tx, p.MessageID)
	})
	if err != nil {
		return Retried{}, r.explain("skip a message", err)
	}
	r.log.InfoContext(ctx, "a message is skipped", "message", number, "reason", why)
	if first != number {
		return Retried{}, nil
	}
	done, err := r.retry(func(t *retry) error { return t.sequence(ctx, p.sequence, 0) })
	if err != nil {
		err = fmt.Errorf("reactions: message %d is skipped, but what waits behind it is still parked: retry it: %w", number, err)
	}
	return done, err
}
