package projections

import (
	"time"

	"github.com/asof-dev/asof/projections/internal/rebuild"
)

// WithPatience sets how long one try to switch may take.
func WithPatience(d time.Duration) RebuildOption { return func(r *rebuild.Rebuild) { r.Patience = d } }

// WithChunk sets how many events a transaction of a rebuild applies.
func WithChunk(events int) RebuildOption { return func(r *rebuild.Rebuild) { r.Chunk = events } }

// WithProcess makes the projector one of another process of the same executable.
func WithProcess(id int) Option { return func(p *Projector) { p.program.Process = id } }

// WithBeside sets for how many rows Apply is called at once, also where it is quick.
func WithBeside(n int) Option {
	return func(p *Projector) { p.apply.Def.Concurrency, p.apply.Def.Always = n, true }
}
