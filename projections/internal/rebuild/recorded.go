package rebuild

import (
	"context"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections/internal/apply"
)

// recorded is what stands in the log up to a position. It is summed up in parts, beside
// other work.
type recorded struct {
	position es.Position
	sums     map[string]pgstore.Sum
}

// reach sums up to a settled position.
func (r *recorded) reach(ctx context.Context, a *apply.Applier, upTo es.Position) error {
	if r.sums == nil || r.position > upTo {
		r.position, r.sums = 0, map[string]pgstore.Sum{}
	}
	part, err := a.Log.Sums(ctx, r.position, upTo, a.Def.Categories...)
	if err != nil {
		return err
	}
	for category, sum := range part {
		r.sums[category] = r.sums[category].Plus(sum)
	}
	r.position = upTo
	return nil
}
