package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections/internal/table"
)

// A value that its column does not take fails the batch that it is in, whichever event it
// comes from. So the batch is tried again in parts, of which nothing is kept, until it is
// known which event it is.

// nameEvent finds the event of a batch that was refused, and returns the error that says
// so; the error as it came when it does not come again.
func (p *Projector) nameEvent(ctx context.Context, b build, w *work, why error) error {
	good, bad := 0, len(w.events) // so many events pass, so many do not
	for bad-good > 1 {
		part := *w
		part.events = w.events[:(good+bad)/2]
		part.position, part.offset = 0, nil
		err := pgx.BeginTxFunc(ctx, p.target.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
			locked, seen, err := p.lock(ctx, tx, b, &part)
			if err != nil {
				return err
			}
			if err := p.applyLocked(ctx, tx, &locked, &part, seen); err != nil {
				return err
			}
			return errDone // nothing is kept
		})
		var event *EventError
		switch {
		case errors.As(err, &event):
			return err
		case errors.Is(err, errDone):
			good = len(part.events)
		case table.Refused(err):
			bad, why = len(part.events), err
		default:
			return errors.Join(why, err)
		}
	}
	if bad == 0 {
		return why
	}
	return &EventError{Projection: p.def.name, Version: p.def.version, Event: w.events[bad-1].Recorded, Err: fmt.Errorf("the database refuses what it comes to: %w", why)}
}
