package projections_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// A retry whose build is switched meanwhile says so, and may be repeated.
func TestRetry_beside_a_switch_is_busy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	w.append("a-1", Deposited{Cents: failsEverywhere}, Deposited{Cents: 100})
	p := projections.New(w.store, poisonedBalances(mended))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	tracer := &between{after: "group by 1, 2, 3, 4 order by", do: func() { // it knows what is to be retried
		if err := p.Rebuild(t.Context()); err != nil {
			t.Error(err)
		}
		mended.Store(true)
	}}
	other := projections.New(w.otherPool(tracer), poisonedBalances(mended))
	if done, err := other.RetryAll(t.Context()); !errors.Is(err, projections.ErrBusy) || !contains(err, "was switched meanwhile") || !contains(err, "try again") || done != (projections.Retried{}) {
		t.Errorf("%+v, %v", done, err)
	}
	wantParked(t, p, w.store, 2)
	if done, err := other.RetryAll(t.Context()); err != nil || done != (projections.Retried{Applied: 2}) {
		t.Errorf("%+v, %v", done, err)
	}
	w.wantBalances("balances.balances")
}

// Somebody else retries the event after it was found: the one behind it is not taken for it.
func TestRetry_of_an_event_that_somebody_else_has_retried_takes_no_other(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	w.append("a-1", Deposited{Cents: failsEverywhere}, Deposited{Cents: 100})
	p := projections.New(w.store, poisonedBalances(mended))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	mended.Store(true)
	event := w.history()[0].ID
	tracer := &between{after: "or p.event_id = $2", do: func() { // it is parked
		if done, err := p.RetryEvent(t.Context(), event); err != nil || done.Applied != 1 {
			t.Errorf("the other: %+v, %v", done, err)
		}
	}}
	done, err := projections.New(w.otherPool(tracer), poisonedBalances(mended)).RetryEvent(t.Context(), event)
	if !errors.Is(err, projections.ErrNotParked) || !contains(err, "somebody else") || done != (projections.Retried{}) {
		t.Errorf("%+v, %v", done, err)
	}
	if rest := wantParked(t, p, w.store, 1); rest[0].Event.Version != 2 {
		t.Errorf("%+v", rest)
	}
}

// While a sequence is read that is to be retried, one of its earlier events is parked, as when
// somebody rewinds: the later ones are not applied before it.
func TestRetry_of_a_sequence_that_begins_earlier_meanwhile_keeps_its_order(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	w.append("a-1", Deposited{Cents: 1}, Deposited{Cents: failsEverywhere}, Deposited{Cents: 100})
	def := poisonedBalances(mended)
	if err := projections.New(w.store, def).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	mended.Store(true)
	tracer := &between{after: "order by version limit", do: func() {
		w.exec(`
			with new as (insert into asof.parked
			             select p.build, p.category, p.stream_id, p.source, p.key, p.key_hash, e.version, e.position, e.event_id, e.type, e.schema_version, p.content_type, e.recorded_at, e.metadata, e.data, 'no', 1
			             from asof.parked p join asof.events e on e.version = 1 where p.version = 2)
			update asof.lanes set parked = parked + 1, counter = counter + 1`)
	}}
	var order []es.Version
	inner := def.TryApply
	def.TryApply = func(b *Balance, e Event, r es.Recorded) error {
		order = append(order, r.Version)
		return inner(b, e, r)
	}
	done, err := projections.New(w.otherPool(tracer), def).RetryAll(t.Context())
	if err != nil || done.Applied != 3 || len(order) == 0 || order[0] != 1 {
		t.Errorf("%+v, %v, in the order of %v", done, err, order)
	}
}

// Whenever a retry is folded, somebody changes the row: that it could not be done is told, and
// not that it is parked again.
func TestRetry_that_is_always_overtaken_is_busy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	def := poisonedBalances(mended)
	inner := def.TryApply
	def.TryApply = func(b *Balance, e Event, r es.Recorded) error {
		if mended.Load() {
			w.exec(`update balances.balances set cents = cents + 1`)
		}
		return inner(b, e, r)
	}
	w.append("a-1", Deposited{Cents: 1}, Deposited{Cents: failsEverywhere})
	p := projections.New(w.store, def)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	mended.Store(true)
	if done, err := p.RetryAll(t.Context()); !errors.Is(err, projections.ErrBusy) || !contains(err, "try again") || done != (projections.Retried{}) {
		t.Errorf("%+v, %v", done, err)
	}
	wantParked(t, p, w.store, 1)
}

// nicknames gives several members nicknames at once, as ann=bob,ben=x; what is poison cannot
// be read until it is mended.
func nicknames(mended *atomic.Bool) projections.Fold[Member, Event] {
	def := members()
	def.Order = projections.Commuting
	def.Key, def.Apply = nil, nil
	def.Keys = func(e Event, _ es.Recorded) []string {
		var names []string
		for given := range strings.SplitSeq(e.(Opened).Owner, ",") {
			if given == "poison" && !mended.Load() {
				panic("it cannot be read")
			}
			if name, _, ok := strings.Cut(given, "="); ok {
				names = append(names, name)
			}
		}
		return names
	}
	def.TryApply = func(m *Member, e Event, _ es.Recorded) error {
		for given := range strings.SplitSeq(e.(Opened).Owner, ",") {
			if name, nick, _ := strings.Cut(given, "="); name == m.Name {
				m.Nick = &nick
			}
		}
		return nil
	}
	return def
}

// A unique value that moves between the rows of one event moves in a retry, too.
func TestRetry_moves_a_unique_value_between_rows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	p := projections.New(w.store, nicknames(mended))
	w.append("a-1", Opened{Owner: "ann=a,ben=b"}, Opened{Owner: "poison"}, Opened{Owner: "ann=b,ben=a"})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantParked(t, p, w.store, 2)
	mended.Store(true)
	if done, err := p.RetryAll(t.Context()); err != nil || done != (projections.Retried{Applied: 2}) {
		t.Errorf("%+v, %v", done, err)
	}
	wantParked(t, p, w.store, 0)
	got := map[string]string{}
	for name, m := range tableOf(w, "members.members", func(m Member) string { return m.Name }) {
		got[name] = *m.Nick
	}
	same(t, map[string]string{"ann": "b", "ben": "a"}, got)
}
