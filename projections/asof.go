package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/replay"
)

// AsOf gives read the read model as it was at a moment: by position, exactly; by
// time, of all events recorded then or before. It is replayed into tables that only
// read's transaction sees and that vanish with it. Write their names unqualified in
// SQL: the search path is on them.
//
// The whole log up to there is read each time, and the tables take room as long as read
// runs. The projection need not be built, and may be paused. What cannot be applied is left
// out as when it is parked, and stops the call where it would stop the projector.
//
// A moment that is not final yet gives [es.ErrNotSettled], a version [es.ErrInvalid], as a
// read model is of many streams, and a read model without a log [ErrNoLog]. An error of read
// is returned as it is.
func (p *Projector) AsOf(ctx context.Context, at es.AsOf, read func(ctx context.Context, tx pgx.Tx) error) error {
	if p.invalid != nil {
		return p.invalid
	}
	upTo, err := p.settle(ctx, at)
	if err != nil {
		return err
	}
	return replay.AsOf(ctx, p.apply, at, upTo, read)
}

// settle makes the moment final, and returns the position after which nothing belongs
// to it.
func (p *Projector) settle(ctx context.Context, at es.AsOf) (es.Position, error) {
	if p.apply.Log == nil {
		return 0, fmt.Errorf("%w: %s as of %s", fault.ErrNoLog, p.apply.Def.Name, at)
	}
	if v, ok := at.Version(); ok {
		return 0, fmt.Errorf("%w: read model %s as of version %d: give a position or a time", es.ErrInvalid, p.apply.Def.Name, v)
	}
	if position, ok := at.Position(); ok {
		return position, p.apply.Log.SettleTo(ctx, position)
	}
	moment, _ := at.Time()
	return p.apply.Log.Settle(ctx, moment)
}
