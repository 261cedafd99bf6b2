package projections

import (
	"context"

	"github.com/asof-dev/asof/projections/internal/rehearsal"
	"github.com/asof-dev/asof/projections/internal/replay"
)

// Rehearsal is for package projectiontest, which applies events as a running projector
// and a rebuild would, to tables of its own and without books.
func (p *Projector) Rehearsal(ctx context.Context) (*rehearsal.Stage, error) {
	if p.invalid != nil {
		return nil, p.invalid
	}
	return replay.Rehearse(ctx, p.apply)
}
