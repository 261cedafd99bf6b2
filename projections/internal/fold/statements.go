package fold

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/table"
)

// Statements makes a definition one of statements that apply queues for each event.
func Statements[E es.Event](d *Definition, codec es.Codec[E], apply func(b *pgx.Batch, e E, r es.Recorded)) {
	decoder := newDecoder(d, codec)
	d.Bind = func(context.Context, pgx.Tx, string) (Model, error) {
		return &queuer[E]{apply: apply, decoder: decoder}, nil
	}
}

// queuer applies events by the statements that the definition queues.
type queuer[E es.Event] struct {
	apply   func(b *pgx.Batch, e E, r es.Recorded)
	decoder decoder[E]
}

// known is what was recorded as one, of a type that the codec knows.
type known[E es.Event] struct {
	events []E
	as     []es.Recorded // of each, where it is not the same of all
	r      *es.RecordedEvent
	why    error // it cannot be read
}

// knownEvents are those of a batch.
type knownEvents[E es.Event] struct {
	list    []known[E]
	unknown int64
}

func (k *knownEvents[E]) Skipped() int64 { return k.unknown }
func (k *knownEvents[E]) Keys() []string { return []string{""} }
func (k *knownEvents[E]) Recycle()       {}

func (q *queuer[E]) Decode(ctx context.Context, events []es.RecordedEvent) Decoded {
	ctx = q.decoder.begin(ctx)
	k := &knownEvents[E]{list: make([]known[E], 0, len(events))}
	all := make([]E, 0, len(events))
	for i := range events {
		begin := len(all)
		decoded, as, ok, err := q.decoder.DecodeAs(ctx, all, &events[i])
		if ok {
			all = decoded
			k.list = append(k.list, known[E]{all[begin:len(all):len(all)], as, &events[i], err})
		} else {
			k.unknown++
		}
	}
	return k
}

func (q *queuer[E]) Open(place table.Place, _ bool) State { return &queue[E]{queuer: q, place: place} }

// queue is the statements that are to be written.
type queue[E es.Event] struct {
	*queuer[E]
	place      table.Place
	statements []*pgx.QueuedQuery
}

func (q *queue[E]) Fold(_ context.Context, _ table.Send, events Decoded, parking *Parking) error {
	mine := &pgx.Batch{}
	for _, k := range events.(*knownEvents[E]).list { //nolint:forcetypeassert // it comes from decode
		ok, err := parking.admit(k.r, k.why)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		before := len(mine.QueuedQueries)
		err = guard(func() error {
			for i, event := range k.events {
				if k.as != nil {
					q.apply(mine, event, k.as[i])
				} else {
					q.apply(mine, event, k.r.PartOf(i, len(k.events)))
				}
			}
			return nil
		})
		if err == nil {
			continue
		}
		mine.QueuedQueries = mine.QueuedQueries[:before]
		if err := parking.fail(k.r, "", err); err != nil {
			return err
		}
	}
	for _, statement := range mine.QueuedQueries {
		statement.SQL = q.place.Tagged(statement.SQL)
	}
	q.statements = append(q.statements, mine.QueuedQueries...)
	return nil
}

// keepPlansSQL takes back table.PlannedSQL, which is said for dedup rows: a statement an
// event would cost half as much again. One of a few rows is planned well even for an empty
// table.
const keepPlansSQL = `set local plan_cache_mode to default`

func (q *queue[E]) Write(_ context.Context, _ *pgx.Conn, out *pgx.Batch, _ table.How) error {
	if len(q.statements) > 0 {
		out.Queue(keepPlansSQL)
		out.QueuedQueries = append(out.QueuedQueries, q.statements...)
	}
	return nil
}

func (q *queue[E]) Written(uint32, int) { q.statements = nil }
func (q *queue[E]) Forget()             { q.statements = nil }
func (q *queue[E]) ByPath() bool        { return true }

// manyStatements are sent at once.
const manyStatements = 20_000

func (q *queue[E]) Full(int) bool { return len(q.statements) >= manyStatements }

func (q *queue[E]) Split() bool { return false }
func (q *queue[E]) Parts() bool { return false }

func (q *queue[E]) CopyParts(context.Context, *pgx.Conn, func() error) error {
	return errors.New("projections: statements have no parts")
}
