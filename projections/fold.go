package projections

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/table"
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
	// The table has a primary key.
	Table string
	// Codec reads the events. Events of types that it does not know are counted and
	// skipped.
	Codec es.Codec[E]
	// Categories limits the projection to streams of these. Empty means all of the
	// store; a Kafka source needs them for its topics.
	Categories []string
	// Order says how rows relate to streams. Only with OneStream or Commuting can a
	// projection read Kafka, and park what cannot be applied.
	Order Order
	// Key names the row that an event touches, as text of the key column's type;
	// empty when it touches none. A primary key of several columns is named by
	// [CompositeKey].
	Key func(e E, r es.Recorded) string
	// Keys replaces Key when an event touches several rows. Apply is called for each.
	Keys func(e E, r es.Recorded) []string
	// Apply changes the row by the event. A row that does not exist yet comes as the
	// zero value with the columns of its key set. Apply does nothing else: it may be called
	// again for the same event when a batch is repeated.
	Apply func(row *R, e E, r es.Recorded)
	// TryApply replaces Apply where it may fail. With its error, as with a panic, the event
	// is parked for the row, which stays as it was; in LogOrder it stops the projector. An
	// error that is [ErrRetry] has the batch tried again.
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
	fields, err := table.Fields(reflect.TypeFor[R]())
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrInvalid, f.Name, err)
	}
	decoder := newDecoder(f.Codec)
	d.bind = func(ctx context.Context, tx pgx.Tx, schema string) (model, error) {
		shape, err := table.Fit(ctx, tx, schema, fields)
		if _, mine := errors.AsType[table.MismatchError](err); mine {
			return nil, fmt.Errorf("%w: %q: %w", ErrInvalid, f.Name, err)
		}
		if err != nil {
			return nil, explain("read the table of "+f.Name, err)
		}
		return &folder[R, E]{def: f, decoder: decoder, shape: shape}, nil
	}
	return d, nil
}
