package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/table"
)

// folder is a [Fold] bound to the table of one build.
type folder[R any, E es.Event] struct {
	def     Fold[R, E]
	decoder decoder[E]
	shape   *table.Shape
}

// touch is an event and a row that it changes.
type touch[E es.Event] struct {
	event E
	r     *es.Recorded
	key   string
}

// touches are those of a batch, in the order of its events.
type touches[E es.Event] struct {
	list    []touch[E]
	unknown int64
}

func (t *touches[E]) skipped() int64 { return t.unknown }

func (f *folder[R, E]) decode(events []es.RecordedEvent) (decoded, error) {
	t := &touches[E]{list: make([]touch[E], 0, len(events))}
	for i := range events {
		r := &events[i].Recorded
		event, known, err := f.decoder.decode(events[i])
		if err != nil {
			return nil, err
		}
		if !known {
			t.unknown++
			continue
		}
		err = f.decoder.guard(r, func() error { f.keys(t, event, r); return nil })
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (f *folder[R, E]) keys(t *touches[E], event E, r *es.Recorded) {
	if f.def.Key != nil {
		if key := f.def.Key(event, *r); key != "" {
			t.list = append(t.list, touch[E]{event, r, key})
		}
		return
	}
	for _, key := range f.def.Keys(event, *r) {
		if key != "" {
			t.list = append(t.list, touch[E]{event, r, key})
		}
	}
}

func (f *folder[R, E]) open(place table.Place, empty bool) state {
	return &folding[R, E]{folder: f, rows: table.Open[R](f.shape, place, empty)}
}

// folding is the rows of a build that are in memory.
type folding[R any, E es.Event] struct {
	*folder[R, E]
	rows *table.Rows[R]
}

func (f *folding[R, E]) fold(ctx context.Context, send table.Send, events decoded) error {
	list := events.(*touches[E]).list //nolint:forcetypeassert // it comes from decode
	keys := make([]string, len(list))
	for i := range list {
		keys[i] = list[i].key
	}
	if err := f.rows.Unify(ctx, send, keys); err != nil {
		return err
	}
	touched := make([]*table.Row[R], len(list))
	for i, key := range keys {
		if f.rows.Has(key) { // or its row is of another part
			touched[i] = f.rows.Row(key)
		}
	}
	if err := f.rows.Load(ctx, send); err != nil {
		return err
	}
	if f.def.Order == OneStream {
		if err := f.oneStream(list, touched); err != nil {
			return err
		}
	}
	for i := range list {
		if touched[i] == nil || f.again(list, touched, i) {
			continue
		}
		if err := f.change(&list[i], touched[i]); err != nil {
			return err
		}
	}
	return nil
}

// again reports a row that the same event has named before.
func (f *folding[R, E]) again(list []touch[E], touched []*table.Row[R], i int) bool {
	for j := i - 1; j >= 0 && list[j].r == list[i].r; j-- {
		if touched[j] == touched[i] {
			return true
		}
	}
	return false
}

// change folds an event into a row, in memory.
func (f *folding[R, E]) change(t *touch[E], row *table.Row[R]) error {
	return f.decoder.guard(t.r, func() error {
		err := f.rows.Change(row, func(value *R) error {
			if f.def.TryApply != nil {
				return f.def.TryApply(value, t.event, *t.r)
			}
			f.def.Apply(value, t.event, *t.r)
			return nil
		})
		if err == nil && f.def.Delete != nil && f.def.Delete(&row.Value) {
			f.rows.Remove(row)
		}
		return err
	})
}

// oneStream holds the definition to what it says of its rows, as far as can be seen.
func (f *folding[R, E]) oneStream(list []touch[E], touched []*table.Row[R]) error {
	for i := range list {
		t, row := &list[i], touched[i]
		if row == nil {
			continue
		}
		by := [2]string{t.r.Stream.Category, t.r.Stream.ID}
		if row.FedBy != by && row.FedBy != [2]string{} {
			return f.decoder.fail(*t.r, fmt.Errorf("%w: Order is OneStream, and row %q is fed by %s too: say Commuting or LogOrder", ErrInvalid, row.Key(), es.StreamID{Category: row.FedBy[0], ID: row.FedBy[1]}))
		}
		row.FedBy = by
	}
	return nil
}

func (f *folding[R, E]) write(ctx context.Context, conn *pgx.Conn, out *pgx.Batch, how table.How) error {
	return f.rows.Write(ctx, conn, out, how)
}

func (f *folding[R, E]) written(xid uint32, most int) { f.rows.Written(xid, most) }
func (f *folding[R, E]) forget()                      { f.rows.Forget() }
func (f *folding[R, E]) byPath() bool                 { return false }

// manyRows are written at once of those that do not stay in memory.
const manyRows = 20_000

func (f *folding[R, E]) full(room int) bool {
	return f.rows.Bytes() >= room || !f.rows.Keeps() && f.rows.Dirty() >= manyRows
}

func (f *folding[R, E]) split() bool { return f.rows.Halve() }
func (f *folding[R, E]) parts() bool { return f.rows.Parts() }

func (f *folding[R, E]) copyParts(ctx context.Context, conn *pgx.Conn, again func() error) error {
	return f.rows.CopyParts(ctx, conn, again)
}
