package projections

import (
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// Fold is a table whose rows are folds of events: the usual projection. R is a
// row; its fields have db tags with the names of the table's columns.
//
// A field that is a slice of structs with a rows tag, the name of another table, is a list of
// child rows, as the lines of an order. The primary key of their table is that of their
// parent and then a text, a whole number or a uuid, or several, that tells the children of
// one parent apart and has a field in the struct; the parent's key needs none, and is set where it has
// one. Apply finds the list in the order of that key, and may change it in any way; it comes and goes with its
// parent. Of the children only those are written that have changed. All are in memory
// with their parent, so it is not for lists without end.
type Fold[R any, E es.Event] struct {
	// Name of the projection and of the schema that readers query: 1 to 40 of
	// a-z 0-9 _.
	Name string
	// Version counts from 1. Raise it when Table, Categories, Key or Apply change, or
	// Codec knows more types: the next start builds the new table beside the live one.
	Version int
	// Table is the DDL of one table, and of those of child rows, unqualified, with their
	// indexes, types and so on. A table has a primary key.
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
	// again for the same event when a batch is repeated, and for several rows at the same
	// time. It is called for one row's events one after the other, in their order.
	Apply func(row *R, e E, r es.Recorded)
	// TryApply replaces Apply where it may fail. With its error, as with a panic, the event
	// is parked for the row, which stays as it was; in LogOrder it stops the projector. An
	// error that is [ErrRetry] has the batch tried again.
	TryApply func(row *R, e E, r es.Recorded) error
	// Delete, when given, is asked after each Apply: true removes the row. The next
	// event that touches it finds the zero value.
	Delete func(row *R) bool
}

// Definition is a read model and how events change it: a [Fold] or a [Statements].
type Definition interface {
	compile() (*fold.Definition, error)
}

func (f Fold[R, E]) compile() (*fold.Definition, error) {
	d := &fold.Definition{Name: f.Name, Version: f.Version, DDL: f.Table, Categories: f.Categories, Order: f.Order}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if f.Codec == nil || (f.Apply == nil) == (f.TryApply == nil) || (f.Key == nil) == (f.Keys == nil) {
		return nil, fmt.Errorf("%w: %q: a Fold needs Codec, one of Apply and TryApply, and one of Key and Keys", fault.ErrInvalid, f.Name)
	}
	return d, fold.Rows(d, f.Codec, fold.Rules[R, E]{Key: f.Key, Keys: f.Keys, Apply: f.Apply, TryApply: f.TryApply, Delete: f.Delete})
}
