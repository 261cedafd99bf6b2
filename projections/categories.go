package projections

import "slices"

// Categories returns those whose events the projection is for; none when it is for
// all, or when its definition is not valid.
func (p *Projector) Categories() []string {
	if p.apply.Def == nil {
		return nil
	}
	return slices.Clone(p.apply.Def.Categories)
}
