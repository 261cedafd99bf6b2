package apply

import (
	"context"

	"github.com/asof-dev/asof/projections/internal/fold"
)

// TellParked says what was parked because of itself.
func (a *Applier) TellParked(ctx context.Context, units []fold.ParkedUnit) {
	waiting := 0
	for i := range units {
		u := &units[i]
		if u.Why == nil {
			waiting++
			continue
		}
		e := &u.Event
		a.Logger.WarnContext(ctx, "an event cannot be applied and is parked", "event", e.ID, "type", e.Type, "stream", e.Stream, "streamVersion", e.Version, "position", e.Position, "key", u.Key, "error", u.Why)
	}
	if waiting > 0 {
		a.Logger.DebugContext(ctx, "events are parked behind others", "events", waiting)
	}
}
