package projections

import (
	"context"
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/rebuild"
)

// Rewind makes the read model what it was at a position, for all readers, and pauses the
// projection: it is built anew from the log up to there, beside the live one, and made live
// as by Rebuild. [Resume] lets it go on from there. The old tables are kept for Rollback.
//
// A position that is not final yet gives [es.ErrNotSettled], a read model without a log
// [ErrNoLog], and one that is not built yet [ErrNotBuilt]; what stops a Rebuild stops it, too,
// and leaves the projection paused and its read model as it was.
func (p *Projector) Rewind(ctx context.Context, to es.Position, options ...RebuildOption) error {
	if p.invalid != nil {
		return p.invalid
	}
	if p.apply.Log == nil {
		return fmt.Errorf("%w: %s rewound to position %d", fault.ErrNoLog, p.apply.Def.Name, to)
	}
	if err := p.apply.Log.SettleTo(ctx, to); err != nil {
		return err
	}
	if err := Pause(ctx, p.apply.Books, p.apply.Def.Name, fmt.Sprintf("rewound to position %d", to)); err != nil {
		return err
	}
	return p.replace(ctx, false, append(options, func(r *rebuild.Rebuild) { r.To = &to }))
}
