package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// SQL is a projection of statements for each event, for what no [Fold] can say:
// several tables, conditions, arithmetic in the database. It costs a statement an
// event where a Fold costs one a batch.
type SQL[E es.Event] struct {
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

func (s SQL[E]) compile() (*definition, error) {
	d := &definition{name: s.Name, version: s.Version, ddl: s.Tables, categories: s.Categories, order: s.Order}
	if err := d.validate(); err != nil {
		return nil, err
	}
	if s.Codec == nil || s.Apply == nil {
		return nil, fmt.Errorf("%w: %q: a SQL needs Codec and Apply", ErrInvalid, s.Name)
	}
	decoder := newDecoder(s.Name, s.Version, s.Codec)
	d.bind = func(context.Context, pgx.Tx, string) (applier, error) {
		return &queuer[E]{def: s, decoder: decoder}, nil
	}
	return d, nil
}

// queuer applies events by the statements that the definition queues.
type queuer[E es.Event] struct {
	def     SQL[E]
	decoder decoder[E]
}

// keepPlansSQL takes back what lockPathSQL says of plans: a statement an event would
// cost half as much again. One of a few rows is planned well even for an empty table.
const keepPlansSQL = `set local plan_cache_mode to default`

func (q *queuer[E]) apply(_ context.Context, _ pgx.Tx, t target, events []es.RecordedEvent, out *pgx.Batch) (int64, error) {
	var skipped int64
	out.Queue(keepPlansSQL)
	for i := range events {
		r := events[i].Recorded
		event, known, err := q.decoder.decode(events[i])
		if err != nil {
			return 0, err
		}
		if !known {
			skipped++
			continue
		}
		first := out.Len()
		if err := q.decoder.guard(r, func() { q.def.Apply(out, event, r) }); err != nil {
			return 0, err
		}
		for _, queued := range out.QueuedQueries[first:] {
			queued.SQL = t.tagged(queued.SQL)
		}
	}
	return skipped, nil
}
