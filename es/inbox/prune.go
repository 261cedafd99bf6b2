package inbox

import (
	"context"
	"time"

	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/internal/wait"
)

// pruneSQL deletes the oldest ids, some at a time, so that no transaction is long.
// Bind: $1 consumer, $2 seconds to keep, $3 how many.
const pruneSQL = `
delete from {asof}.inbox where consumer = $1 and message_id in (
    select message_id from {asof}.inbox
    where consumer = $1 and received_at < clock_timestamp() - make_interval(secs => $2)
    order by received_at limit $3
    for update skip locked)`

const (
	pruneBatch = 1000
	pruneEvery = time.Hour
)

// Prune deletes the consumer's ids that are older than the retention, in small
// batches, and returns how many. Several processes may prune at once.
func (i *Inbox) Prune(ctx context.Context) (int64, error) {
	if i.refused != nil {
		return 0, i.refused
	}
	var total int64
	for i.retention > 0 {
		tag, err := i.store.Pool().Exec(ctx, i.q(pruneSQL), i.consumer, i.retention.Seconds(), pruneBatch)
		if err != nil {
			return total, pg.Explain("inbox", "prune", err)
		}
		total += tag.RowsAffected()
		if tag.RowsAffected() < pruneBatch {
			break
		}
	}
	return total, nil
}

// Run prunes now and then every hour, until ctx ends, and returns nil then. A
// failure is logged, and the next hour tries again; one that only an operator can
// mend, such as a missing table or right, ends it, as does an option that is refused.
func (i *Inbox) Run(ctx context.Context) error {
	for {
		n, err := i.Prune(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case i.refused != nil || pg.OnlyByOperator(err):
			return err
		case err != nil:
			i.log.WarnContext(ctx, "inbox not pruned; the next try is in an hour", "error", err)
		case n > 0:
			i.log.InfoContext(ctx, "inbox pruned", "ids", n)
		}
		if wait.For(ctx, pruneEvery) != nil {
			return nil
		}
	}
}
