package rebuild

import (
	"context"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections/internal/source"
)

// recorded is what stands in the log up to a position. It is summed up in parts, beside
// other work.
type recorded struct {
	position es.Position
	sums     map[string]pgstore.Sum
}

// reach sums up to a settled position.
func (r *recorded) reach(ctx context.Context, p *source.Feed, upTo es.Position) error {
	if r.sums == nil || r.position > upTo {
		r.position, r.sums = 0, map[string]pgstore.Sum{}
	}
	part, err := p.Log.Sums(ctx, r.position, upTo, p.Def.Categories...)
	if err != nil {
		return err
	}
	for category, sum := range part {
		r.sums[category] = r.sums[category].Plus(sum)
	}
	r.position = upTo
	return nil
}
