package apply

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// reachSQL finds the last event that is applied, as far as Kafka has brought it. Bind: $1
// build.
const reachSQL = `select position, event_id from {asof}.offsets where build = $1 order by position desc limit 1`

// Reach is where in the log the last event stands that a build has applied: nothing after
// it is. Whatever Kafka brought is settled, so the log up to there is final.
func Reach(ctx context.Context, k books.Books, db pg.Querier, b books.Build) (es.Checkpoint, error) {
	at := es.Checkpoint{Position: b.Position, EventID: b.Event, Life: b.Life}
	if b.Kind == books.KindLog {
		return at, nil
	}
	var last es.Position
	var event *uuid.UUID
	err := db.QueryRow(ctx, k.SQL(reachSQL), b.ID).Scan((*int64)(&last), &event)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
	case err != nil:
		return at, fault.Explain("find how far Kafka has come", err)
	case last > at.Position:
		at.Position, at.EventID = last, books.OrNil(event)
	}
	return at, nil
}

// Reach is [Reach] for a build of the applier's.
func (a *Applier) Reach(ctx context.Context, db pg.Querier, b books.Build) (es.Checkpoint, error) {
	return Reach(ctx, a.Books, db, b)
}

// VerifyReach refuses a log that was put back without the read model, and so lacks events
// which Kafka has brought, that lie after the build's position. A build beside the log was put
// back with it.
func (a *Applier) VerifyReach(ctx context.Context, b books.Build) error {
	if b.Kind != books.KindKafka || a.Beside() {
		return nil
	}
	at, err := a.Reach(ctx, a.Books.Pool(), b)
	if err != nil {
		return err
	}
	return a.Log.Verify(ctx, at)
}
