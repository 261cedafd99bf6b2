package projections

import (
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// Statements is a projection of statements for each event, for what no [Fold] can say:
// several tables, conditions, arithmetic in the database. It costs a statement an
// event where a Fold costs one a batch.
type Statements[E es.Event] struct {
	// Name and Version are as in [Fold].
	Name    string
	Version int
	// Tables is the DDL of the tables, unqualified, with indexes, types and so on.
	Tables string
	// Codec and Categories are as in [Fold].
	Codec      es.Codec[E]
	Categories []string
	// Order is as in [Fold].
	Order Order
	// Apply queues statements into b. Write table names unqualified: they mean those
	// of the build that is written. Apply does nothing else: it may be called again
	// for the same event when a batch is repeated.
	Apply func(b *pgx.Batch, e E, r es.Recorded)
}

func (s Statements[E]) compile() (*fold.Definition, error) {
	d := &fold.Definition{Name: s.Name, Version: s.Version, DDL: s.Tables, Categories: s.Categories, Order: s.Order}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if s.Codec == nil || s.Apply == nil {
		return nil, fmt.Errorf("%w: %q: a Statements needs Codec and Apply", fault.ErrInvalid, s.Name)
	}
	fold.Statements(d, s.Codec, s.Apply)
	return d, nil
}
