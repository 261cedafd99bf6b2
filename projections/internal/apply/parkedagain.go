package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
	"github.com/asof-dev/asof/projections/internal/table"
)

// What is parked is tried again as a batch is applied: it is folded with no transaction open,
// and taken from the books in the transaction that writes what it comes to. So it is applied
// once, whatever dies when. What fails is parked again, with what comes after it.

// ErrNotThere: somebody else has retried or skipped the events.
var ErrNotThere = errors.New("projections: not parked any more")

// before is what is known of a unit that is tried again.
type before struct {
	attempts int32
	first    time.Time
}

// Again applies events of a sequence, which then are parked no more, but for those that fail
// again: see [trial]. It returns what is parked of them, and what of the sequence is.
func (a *Applier) Again(ctx context.Context, b books.Build, s fold.Sequence, events []es.RecordedEvent, refused map[fold.Unit]error, keep bool) (*fold.Parking, error) {
	d, err := a.attempt(ctx, b, &Work{Events: events, Source: s.Source, parked: &s, refused: refused, rehearse: !keep})
	if errors.Is(err, errOvertaken) || errors.Is(err, table.ErrStale) {
		err = fmt.Errorf("%w: others write to it: try again: %w", fault.ErrBusy, err)
	}
	if err != nil {
		return nil, err
	}
	if keep {
		a.TellParked(ctx, d.parking.Fresh)
	}
	return d.parking, nil
}

// wereSQL reads what is known of events of a sequence. Bind: $1 build, $2 category, $3 stream,
// $4 key, $5 versions, $6 source.
const wereSQL = `
select event_id, attempts, first_at from {asof}.parked
where build = $1 and category = $2 and stream_id = $3 and key_hash = sha256(convert_to($4, 'UTF8')) and version = any($5) and source = $6`

func (w *Work) parkedArgs(b books.Build) []any {
	versions := make([]int64, len(w.Events))
	for i := range w.Events {
		versions[i] = int64(w.Events[i].Version)
	}
	return []any{b.ID, w.parked.Stream.Category, w.parked.Stream.ID, w.parked.Key, versions, w.parked.Source}
}

func (a *Applier) queueWere(batch *pgx.Batch, b books.Build, w *Work, d *draft) {
	d.were = map[uuid.UUID]before{}
	batch.Queue(a.Books.SQL(wereSQL), w.parkedArgs(b)...).Query(func(rows pgx.Rows) error {
		var id uuid.UUID
		var was before
		_, err := pgx.ForEachRow(rows, []any{&id, &was.attempts, &was.first}, func() error { d.were[id] = was; return nil })
		return err
	})
}

// takeParked judges the events of a sequence as if they were parked no more. Whether they still
// are, the write finds out; but not that an earlier one is parked now, as after a rewind.
func (d *draft) takeParked() error {
	k, s, n := d.parking, *d.w.parked, len(d.w.Events)
	if s.Key != "" {
		k.Only = &s.Key
	}
	k.Stored = d.b.Parked - int64(n)
	if k.Most > 0 {
		k.Most = max(k.Most, d.b.Parked) // what is parked may stay so, whatever the program's bound
	}
	if from, rest := k.From[s]; rest && from < d.w.Events[0].Version {
		return ErrNotThere
	}
	delete(k.From, s)
	return nil
}

// again says of a unit that is parked again how often it was tried.
func (d *draft) again(u *fold.ParkedUnit) {
	if was, known := d.were[u.Event.ID]; known {
		u.Attempts, u.First = was.attempts, was.first
	}
}

// takeSQL takes events of a sequence from what is parked. Bind: as in wereSQL.
const takeSQL = `
delete from {asof}.parked
where build = $1 and category = $2 and stream_id = $3 and key_hash = sha256(convert_to($4, 'UTF8')) and version = any($5) and source = $6`

func (a *Applier) queueTake(out *pgx.Batch, b books.Build, w *Work) {
	out.Queue(a.Books.SQL(takeSQL), w.parkedArgs(b)...).Exec(func(tag pgconn.CommandTag) error {
		if n := tag.RowsAffected(); n != int64(len(w.Events)) {
			return fmt.Errorf("%w: %d of %d events of %s", ErrNotThere, n, len(w.Events), w.parked.Stream)
		}
		return nil
	})
}
