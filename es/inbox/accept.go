package inbox

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

const (
	// lockLivesSQL lets one accept at a time; reactions that know their life go on.
	lockLivesSQL = `lock table {asof}.inbox_lives in share row exclusive mode`

	// leaveSQL leaves all lives but one. What an earlier loss took stays lost. Bind: $1
	// consumer, $2 source, $3 life, $4 the position up to which nothing is lost.
	leaveSQL = `update {asof}.inbox_lives set kept = least(kept, $4::bigint) where consumer = $1 and source = $2 and life <> $3::uuid`

	// enterSQL enters that one. Bind: $1 consumer, $2 source, $3 life.
	enterSQL = `
insert into {asof}.inbox_lives (consumer, source, life) values ($1, $2, $3::uuid)
on conflict (consumer, source, life) do update set kept = null`
)

// Accept goes on in another life of the store that publishes under a source, after an
// [AnotherLifeError] that names both. First see what the reaction did of events that
// the store has lost: what it appended names its cause, the event's id, as the
// causation in its metadata. Each consumer accepts for itself, for all its processes.
//
// Kept is the position that repair was given: up to there the store has lost nothing,
// and what comes after it is published again. It decides about messages of the former
// life that come after this, from a partition that lags behind, say. At or below kept
// they hold and are reacted to, as they do not come again. Above it they are
// acknowledged without a reaction, logged and counted as Late: their event was lost,
// or comes again in the new life, under the same id. They never lead back to the
// former life. When kept is not known, 0 leaves out all of them: let the group first
// read all that it can.
func (i *Inbox) Accept(ctx context.Context, source string, life uuid.UUID, kept es.Position) error {
	switch {
	case i.refused != nil:
		return i.refused
	case source == "":
		return fmt.Errorf("inbox: %w: Accept without a source: give that of the error", es.ErrInvalid)
	case life == uuid.Nil:
		return fmt.Errorf("inbox: %w: Accept without a life: give that of the error", es.ErrInvalid)
	case kept < 0:
		return fmt.Errorf("inbox: %w: Accept up to position %d: give 0 or more", es.ErrInvalid, kept)
	}
	err := pgx.BeginFunc(ctx, i.store.Pool(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, i.q(lockLivesSQL)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, i.q(leaveSQL), i.consumer, stored(source), life.String(), int64(kept)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, i.q(enterSQL), i.consumer, stored(source), life.String())
		return err
	})
	if err != nil {
		return pg.Explain("inbox", "accept life "+life.String(), err)
	}
	i.log.InfoContext(ctx, "the life of a store is accepted", "source", source, "life", life, "kept", kept)
	return nil
}
