package jsonschema

import (
	"fmt"
	"strings"

	"github.com/asof-dev/asof/es/schema"
)

// CanRead lists why a value that is valid by the writer's schema may not be valid by the
// reader's; none when each is. It fails when one of the texts is no schema, and says which and
// where. It takes texts of any origin: one that would take too long to compare is a problem.
func CanRead(reader, writer string) ([]schema.Problem, error) {
	g := &graph{byPlace: map[*value]*node{}}
	mine, r, err := load(g, reader)
	if err != nil {
		return nil, fmt.Errorf("jsonschema: the reader's schema: %w", err)
	}
	theirs, w, err := load(g, writer)
	if err != nil {
		return nil, fmt.Errorf("jsonschema: the writer's schema: %w", err)
	}
	if mine.draft == theirs.draft && mine.root.canonical() == theirs.root.canonical() {
		return nil, nil
	}
	g.classify()
	c := newComparison(g)
	return c.listed(c.implies(c.claim(w), r)), nil
}

// listed is what of the problems a caller sees: of those that were given up one is enough.
func (c *comparison) listed(found []schema.Problem) (problems []schema.Problem) {
	for _, p := range found {
		if p.Path = strings.TrimPrefix(p.Path, "."); p.Says != tooMuch().Says {
			problems = append(problems, p)
		}
	}
	if c.left <= 0 {
		problems = append(problems, tooMuch())
	}
	return distinct(problems)
}

var _ schema.CanRead = CanRead
