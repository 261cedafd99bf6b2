package fold

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"reflect"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/table"
)

// Rules are how events change rows of type R: see Fold in package projections.
type Rules[R any, E es.Event] struct {
	Key      func(e E, r es.Recorded) string
	Keys     func(e E, r es.Recorded) []string
	Apply    func(row *R, e E, r es.Recorded)
	TryApply func(row *R, e E, r es.Recorded) error
	Delete   func(row *R) bool
}

// Rows makes a definition one of rows that are folds.
func Rows[R any, E es.Event](d *Definition, codec es.Codec[E], rules Rules[R, E]) error {
	row, err := table.TypeOf(reflect.TypeFor[R]())
	if err != nil {
		return fmt.Errorf("%w: %q: %w", fault.ErrInvalid, d.Name, err)
	}
	decoder := newDecoder(d, codec)
	d.Bind = func(ctx context.Context, tx pgx.Tx, schema string) (Model, error) {
		shape, err := table.Fit(ctx, tx, schema, row)
		if _, mine := errors.AsType[table.MismatchError](err); mine {
			return nil, fmt.Errorf("%w: %q: %w", fault.ErrInvalid, d.Name, err)
		}
		if err != nil {
			return nil, fault.Explain("read the table of "+d.Name, err)
		}
		return &folder[R, E]{def: d, rules: rules, decoder: decoder, shape: shape, seed: maphash.MakeSeed()}, nil
	}
	return nil
}

// folder is [Rules] bound to the table of one build.
type folder[R any, E es.Event] struct {
	def     *Definition
	rules   Rules[R, E]
	decoder decoder[E]
	shape   *table.Shape
	spare   sync.Pool // of *touches[E] that nobody uses any more
	pace    pace
	seed    maphash.Seed // by which rows are shared out
}

// touch is an event and a row that it changes.
type touch[E es.Event] struct {
	event       E
	r           *es.RecordedEvent
	key         string
	part, parts int32        // of what was recorded; 0 of 1 when it is all
	as          *es.Recorded // what is known of the part, where that is not the same of all
}

func (t *touch[E]) recorded() es.Recorded {
	if t.as != nil {
		return *t.as
	}
	return t.r.PartOf(int(t.part), int(t.parts))
}

// touches are those of a batch, in the order of its events.
type touches[E es.Event] struct {
	list    []touch[E]
	unread  map[int]error // by place in list: events that cannot be read
	unknown int64
	of      *sync.Pool
}

func (t *touches[E]) Skipped() int64 { return t.unknown }

func (t *touches[E]) Keys() []string {
	var keys []string
	for i := range t.list {
		if !slices.Contains(keys, t.list[i].key) {
			keys = append(keys, t.list[i].key)
		}
	}
	return keys
}

func (f *folder[R, E]) Decode(ctx context.Context, events []es.RecordedEvent) Decoded {
	ctx = f.decoder.begin(ctx)
	t := f.newTouches(len(events))
	var parts []E
	for i := range events {
		r, n := &events[i], len(t.list)
		var as []es.Recorded
		var known bool
		var err error
		parts, as, known, err = f.decoder.DecodeAs(ctx, parts[:0], r)
		if !known {
			t.unknown++
			continue
		}
		if err == nil {
			err = guard(func() error { return f.touched(t, parts, as, r) })
		}
		if err != nil {
			if t.unread == nil {
				t.unread = map[int]error{}
			}
			t.list, t.unread[n] = append(t.list[:n], touch[E]{r: r}), err
		}
	}
	return t
}

func (f *folder[R, E]) newTouches(events int) *touches[E] {
	if t, ok := f.spare.Get().(*touches[E]); ok && cap(t.list) >= events {
		t.list, t.unread, t.unknown = t.list[:0], nil, 0
		return t
	}
	return &touches[E]{list: make([]touch[E], 0, events), of: &f.spare}
}

func (t *touches[E]) Recycle() { t.of.Put(t) }

func (f *folder[R, E]) touched(t *touches[E], events []E, as []es.Recorded, r *es.RecordedEvent) error {
	for i, event := range events {
		at := touch[E]{event: event, r: r, part: int32(i), parts: int32(len(events))} //nolint:gosec // so many there are not
		if as != nil {
			at.as = &as[i]
		}
		if f.rules.Key != nil {
			if err := f.add(t, at, f.rules.Key(event, at.recorded())); err != nil {
				return err
			}
			continue
		}
		for _, key := range f.rules.Keys(event, at.recorded()) {
			if err := f.add(t, at, key); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *folder[R, E]) add(t *touches[E], at touch[E], key string) error {
	if pg.Storable(key) != key { // the database would refuse it, where it is looked up
		return fmt.Errorf("the key %q is no text that the database takes: it has a NUL, or is no UTF-8", key)
	}
	if key == "" {
		return nil
	}
	if err := f.shape.CheckKey(key); err != nil {
		return err
	}
	at.key = key
	t.list = append(t.list, at)
	return nil
}

func (f *folder[R, E]) Open(place table.Place, empty bool) State {
	return &folding[R, E]{folder: f, rows: table.Open[R](f.shape, place, empty)}
}

// folding is the rows of a build that are in memory.
type folding[R any, E es.Event] struct {
	*folder[R, E]
	rows *table.Rows[R]

	keys    []string // of the batch, whose memory the next one has
	touched []*table.Row[R]
}

func (f *folding[R, E]) Fold(ctx context.Context, send table.Send, events Decoded, parking *Parking) error {
	list, err := admitted(events.(*touches[E]), parking) //nolint:forcetypeassert // it comes from decode
	if err != nil {
		return err
	}
	f.keys = slices.Grow(f.keys[:0], len(list))[:len(list)]
	keys := f.keys
	for i := range list {
		keys[i] = list[i].key
	}
	unified, err := f.rows.Unify(ctx, send, keys, func() []string { return prior(list, parking) })
	if err != nil {
		return err
	}
	parking.unify(unified.Same)
	f.touched = slices.Grow(f.touched[:0], len(list))[:len(list)]
	touched := f.touched
	for i, key := range keys {
		touched[i] = nil
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
	return f.applyAll(list, touched, unified.Texts, parking)
}

// admitted leaves out what is parked without a look at its row.
func admitted[E es.Event](t *touches[E], parking *Parking) ([]touch[E], error) {
	if parking.idle() && len(t.unread) == 0 {
		return t.list, nil
	}
	list := make([]touch[E], 0, len(t.list))
	for i := range t.list {
		ok, err := parking.admit(t.list[i].r, t.unread[i])
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, t.list[i])
		}
	}
	return list, nil
}

// prior are texts of keys in the books that may be of rows that are touched.
func prior[E es.Event](list []touch[E], parking *Parking) []string {
	if parking.idle() && parking.Only == nil {
		return nil
	}
	return parking.Keys(rowsOf(list))
}

// rowsOf names what is touched, by the texts that the events have.
func rowsOf[E es.Event](list []touch[E]) map[uuid.UUID][]string {
	rows := make(map[uuid.UUID][]string, len(list))
	for i := range list {
		rows[list[i].r.ID] = append(rows[list[i].r.ID], list[i].key)
	}
	return rows
}

// next finds where the next part of the same event touches the same row; -1 when none does.
func (f *folding[R, E]) next(list []touch[E], touched []*table.Row[R], i int) int {
	if list[i].parts == 1 {
		return -1
	}
	for j := i + 1; j < len(list) && list[j].r == list[i].r; j++ {
		if touched[j] == touched[i] && list[j].part != list[i].part {
			return j
		}
	}
	return -1
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

// oneStream holds the definition to what it says of its rows, as far as can be seen.
func (f *folding[R, E]) oneStream(list []touch[E], touched []*table.Row[R]) error {
	for i := range list {
		t, row := &list[i], touched[i]
		if row == nil {
			continue
		}
		by := [2]string{t.r.Stream.Category, t.r.Stream.ID}
		if row.FedBy == nil {
			first := by // by itself is not to leave the stack
			row.FedBy = &first
			continue
		}
		if *row.FedBy != by {
			why := fmt.Errorf("%w: Order is OneStream, and row %q is fed by %s too: say Commuting or LogOrder", fault.ErrInvalid, row.Key(), es.StreamID{Category: row.FedBy[0], ID: row.FedBy[1]})
			return &fault.EventError{Projection: f.def.Name, Version: f.def.Version, Event: t.r.Recorded, Err: why}
		}
	}
	return nil
}

func (f *folding[R, E]) Write(ctx context.Context, conn *pgx.Conn, out *pgx.Batch, how table.How) error {
	return f.rows.Write(ctx, conn, out, how)
}

func (f *folding[R, E]) Written(xid uint32, most int) { f.rows.Written(xid, most) }

func (f *folding[R, E]) Forget() {
	f.rows.Forget()
	f.keys, f.touched = nil, nil
}

func (f *folding[R, E]) ByPath() bool { return false }

// manyRows are written at once of those that do not stay in memory.
const manyRows = 20_000

func (f *folding[R, E]) Full(room int) bool {
	return f.rows.Bytes() >= room || !f.rows.Keeps() && f.rows.Dirty() >= manyRows
}

func (f *folding[R, E]) Split() bool { return f.rows.Halve() }
func (f *folding[R, E]) Parts() bool { return f.rows.Parts() }

func (f *folding[R, E]) CopyParts(ctx context.Context, conn *pgx.Conn, again func() error) error {
	return f.rows.CopyParts(ctx, conn, again)
}

// Fitted is a model whose rows are folds.
type Fitted interface {
	Fit() *table.Shape
}

func (f *folder[R, E]) Fit() *table.Shape { return f.shape }
