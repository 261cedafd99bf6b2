package projections

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// Fold is a table whose rows are folds of events: the usual projection. R is a
// row; its fields have db tags with the names of the table's columns.
type Fold[R any, E es.Event] struct {
	// Name of the projection and of the schema that readers query: 1 to 40 of
	// a-z 0-9 _.
	Name string
	// Version counts from 1. Raise it when Table, Categories, Key or Apply change, or
	// Codec knows more types: the next start builds the new table beside the live one.
	Version int
	// Table is the DDL of one table, unqualified, with its indexes, types and so on.
	// The table has a primary key of one column.
	Table string
	// Codec reads the events. Events of types that it does not know are counted and
	// skipped.
	Codec es.Codec[E]
	// Categories limits the projection to streams of these. Empty means all of the
	// store; a Kafka source needs them for its topics.
	Categories []string
	// Order says how rows relate to streams. A projection that reads Kafka says OneStream
	// or Commuting.
	Order Order
	// Key names the row that an event touches, as text of the key column's type;
	// empty when it touches none.
	Key func(e E, r es.Recorded) string
	// Keys replaces Key when an event touches several rows. Apply is called for each.
	Keys func(e E, r es.Recorded) []string
	// Apply changes the row by the event. A row that does not exist yet comes as the
	// zero value with its key column set. Apply does nothing else: it may be called
	// again for the same event when a batch is repeated.
	Apply func(row *R, e E, r es.Recorded)
	// TryApply replaces Apply where it may fail: its error stops the projector at the
	// event, as a panic does.
	TryApply func(row *R, e E, r es.Recorded) error
	// Delete, when given, is asked after each Apply: true removes the row. The next
	// event that touches it finds the zero value.
	Delete func(row *R) bool
}

func (f Fold[R, E]) compile() (*definition, error) {
	d := &definition{name: f.Name, version: f.Version, ddl: f.Table, categories: f.Categories, order: f.Order}
	if err := d.validate(); err != nil {
		return nil, err
	}
	if f.Codec == nil || (f.Apply == nil) == (f.TryApply == nil) || (f.Key == nil) == (f.Keys == nil) {
		return nil, fmt.Errorf("%w: %q: a Fold needs Codec, one of Apply and TryApply, and one of Key and Keys", ErrInvalid, f.Name)
	}
	fields, err := fieldsOf(reflect.TypeFor[R]())
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrInvalid, f.Name, err)
	}
	decoder := newDecoder(f.Name, f.Version, f.Codec)
	d.bind = func(ctx context.Context, tx pgx.Tx, schema string) (applier, error) {
		found, err := readCatalog(ctx, tx, schema)
		if err != nil {
			return nil, explain("read the table of "+f.Name, err)
		}
		shape, err := fit(tx.Conn().TypeMap(), found, fields)
		if err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrInvalid, f.Name, err)
		}
		err = shape.readable(ctx, tx)
		if _, mine := errors.AsType[mismatch](err); mine {
			return nil, fmt.Errorf("%w: %q: %w", ErrInvalid, f.Name, err)
		}
		if err != nil {
			return nil, explain("read the table of "+f.Name, err)
		}
		return &folder[R, E]{fold: f, decoder: decoder, shape: shape}, nil
	}
	return d, nil
}

// folder applies events to the table of one build.
type folder[R any, E es.Event] struct {
	fold    Fold[R, E]
	decoder decoder[E]
	shape   *shape
}

// touch is an event and a row that it changes.
type touch[E es.Event] struct {
	event E
	r     *es.Recorded
	key   string
}

func (f *folder[R, E]) apply(ctx context.Context, tx pgx.Tx, t target, events []es.RecordedEvent, out *pgx.Batch) (int64, error) {
	touches, skipped, err := f.touches(events)
	if err != nil || len(touches) == 0 {
		return skipped, err
	}
	if err := f.unify(ctx, tx, t, touches); err != nil {
		return 0, err
	}
	rows := newRows[R](touches)
	if f.fold.Order == OneStream {
		if err := f.oneStream(touches); err != nil {
			return 0, err
		}
	}
	if !t.fresh {
		if err := f.load(ctx, tx, t, rows); err != nil {
			return 0, err
		}
	}
	if err := f.change(tx, touches, rows); err != nil {
		return 0, err
	}
	return skipped, f.write(ctx, tx, t, rows, out)
}

func (f *folder[R, E]) touches(events []es.RecordedEvent) ([]touch[E], int64, error) {
	var skipped int64
	touches := make([]touch[E], 0, len(events))
	for i := range events {
		r := &events[i].Recorded
		event, known, err := f.decoder.decode(events[i])
		if err != nil {
			return nil, 0, err
		}
		if !known {
			skipped++
			continue
		}
		if err := f.decoder.guard(*r, func() { touches = f.keys(touches, event, r) }); err != nil {
			return nil, 0, err
		}
	}
	return touches, skipped, nil
}

func (f *folder[R, E]) keys(touches []touch[E], event E, r *es.Recorded) []touch[E] {
	if f.fold.Key != nil {
		if key := f.fold.Key(event, *r); key != "" {
			touches = append(touches, touch[E]{event, r, key})
		}
		return touches
	}
	first := len(touches)
next:
	for _, key := range f.fold.Keys(event, *r) {
		for i := first; i < len(touches); i++ {
			if touches[i].key == key {
				continue next
			}
		}
		if key != "" {
			touches = append(touches, touch[E]{event, r, key})
		}
	}
	return touches
}

// oneStream holds the definition to what it says of its rows, as far as the batch shows.
func (f *folder[R, E]) oneStream(touches []touch[E]) error {
	fedBy := make(map[string]es.StreamID, len(touches))
	for _, t := range touches {
		if other, fed := fedBy[t.key]; fed && other != t.r.Stream {
			return f.decoder.fail(*t.r, fmt.Errorf("%w: Order is OneStream, and row %q is fed by %s too: say Commuting or LogOrder", ErrInvalid, t.key, other))
		}
		fedBy[t.key] = t.r.Stream
	}
	return nil
}

// change folds the events into the rows, in memory.
func (f *folder[R, E]) change(tx pgx.Tx, touches []touch[E], rows *rows[R]) error {
	for _, t := range touches {
		row := rows.byKey[t.key]
		if row.value == nil {
			row.value = new(R)
			if err := f.shape.setKey(tx, reflect.ValueOf(row.value).Elem(), t.key); err != nil {
				return f.decoder.fail(*t.r, err)
			}
		}
		if err := f.changeOne(tx, t, row); err != nil {
			return err
		}
	}
	return nil
}

// changeOne applies an event to a row, and leaves it as reading it back would.
func (f *folder[R, E]) changeOne(tx pgx.Tx, t touch[E], row *row[R]) error {
	var failed error
	err := f.decoder.guard(*t.r, func() {
		if f.fold.TryApply != nil {
			failed = f.fold.TryApply(row.value, t.event, *t.r)
		} else {
			f.fold.Apply(row.value, t.event, *t.r)
		}
	})
	if err != nil {
		return err
	}
	if failed != nil {
		return f.decoder.fail(*t.r, failed)
	}
	value := reflect.ValueOf(row.value).Elem()
	if err := f.shape.keepsKey(tx, value, t.key); err != nil {
		return f.decoder.fail(*t.r, err)
	}
	f.shape.canonical(value)
	return f.decoder.guard(*t.r, func() {
		if f.fold.Delete != nil && f.fold.Delete(row.value) {
			row.value = nil
		}
	})
}
