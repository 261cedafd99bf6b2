package apply

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fold"
	"github.com/asof-dev/asof/projections/internal/table"
)

// A value that its column does not take fails the batch that it is in, whichever event it
// comes from. So the batch is applied in parts, each as small as it must be to pass, until
// the event is found that does not pass alone; of that one, what is refused is parked.

// Refused reports that the database does not take what events come to. What it does not take
// of the books is no event's.
func (a *Applier) Refused(err error) bool {
	server, told := errors.AsType[*pgconn.PgError](err)
	return table.Refused(err) && (!told || server.SchemaName != a.Books.Schema())
}

// trial applies events, all or none of them. What is refused is parked without a try.
// Nothing is kept of a rehearsal, or after an error.
type trial func(ctx context.Context, events []es.RecordedEvent, refused map[fold.Unit]error, keep bool) error

// Bisect applies events of a batch that the database has refused.
func (a *Applier) Bisect(ctx context.Context, m fold.Model, events []es.RecordedEvent, try trial) error {
	n := max(1, len(events)/2)
	for len(events) > 0 {
		n = min(n, len(events))
		err := try(ctx, events[:n], nil, true)
		switch {
		case a.Refused(err) && n > 1:
			n /= 2
			continue
		case a.Refused(err):
			err = a.parkRefused(ctx, m, events[:1], err, try)
		}
		if err != nil {
			return err
		}
		events, n = events[n:], 2*n
	}
	return nil
}

// parkRefused applies an event but for what the database refuses of it, which it parks.
func (a *Applier) parkRefused(ctx context.Context, m fold.Model, event []es.RecordedEvent, why error, try trial) error {
	refused, err := a.culprits(ctx, m, event, why, try)
	if err != nil {
		return err
	}
	return try(ctx, event, refused, true)
}

// culprits finds which rows of an event are refused: each is tried with those before it
// that were not.
func (a *Applier) culprits(ctx context.Context, m fold.Model, event []es.RecordedEvent, why error, try trial) (map[fold.Unit]error, error) {
	id := event[0].ID
	why = fmt.Errorf("the database refuses what it comes to: %w", why)
	keys := m.Decode(ctx, event).Keys()
	if len(keys) < 2 || table.NotAKey(why) || !fold.NewParking(a.Def, a.Most).Parks() { // nobody can tell which row it is, or need to
		key := ""
		if len(keys) == 1 && !table.NotAKey(why) {
			key = keys[0]
		}
		return map[fold.Unit]error{{Event: id, Key: key}: why}, nil
	}
	untried, refused := map[fold.Unit]error{}, map[fold.Unit]error{}
	for _, key := range keys {
		untried[fold.Unit{Event: id, Key: key}] = why
	}
	for _, key := range keys {
		row := fold.Unit{Event: id, Key: key}
		delete(untried, row)
		err := try(ctx, event, untried, false)
		switch {
		case table.NotAKey(err):
			return map[fold.Unit]error{{Event: id}: why}, nil
		case a.Refused(err):
			err = fmt.Errorf("the database refuses what it comes to: %w", err)
			untried[row], refused[row] = err, err
		case err != nil:
			return nil, err
		}
	}
	return refused, nil
}

// bisectWork commits work that the database has refused.
func (a *Applier) bisectWork(ctx context.Context, b books.Build, w *Work) (books.Build, error) {
	m, err := a.Model(ctx, b)
	if err != nil {
		return b, err
	}
	events := w.Events
	if b.Kind != books.KindLog { // what is left of it, without gaps
		if events, err = a.left(ctx, b, w); err != nil {
			return b, err
		}
	}
	after := w.After
	err = a.Bisect(ctx, m, events, func(ctx context.Context, part []es.RecordedEvent, refused map[fold.Unit]error, keep bool) error {
		once := &Work{Events: part, After: after, Position: part[len(part)-1].Position, Bulk: w.Bulk}
		if b.Kind != books.KindLog {
			once = w.part(part)
		}
		once.refused, once.rehearse = refused, !keep
		next, err := a.try(ctx, b, once)
		if err == nil && keep {
			b, after = next, once.Position
			a.Done.Add(1)
		}
		return err
	})
	if err != nil {
		return b, err
	}
	return a.try(ctx, b, w) // what else there is to it: all events are applied
}

// left returns the events of a work that are to be applied.
func (a *Applier) left(ctx context.Context, b books.Build, w *Work) ([]es.RecordedEvent, error) {
	d, err := a.plan(ctx, a.outside(), &pgx.Batch{}, b, w)
	if err != nil {
		return nil, err
	}
	return d.todo, nil
}
