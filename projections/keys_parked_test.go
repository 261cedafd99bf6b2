package projections_test

import (
	"sync/atomic"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// foldedCollation makes a collation to which texts are equal that differ in capitals alone.
const foldedCollation = `create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false); `

// amounts has rows whose keys only the database can compare: each stream has a text of its
// own for the one row, one or ONE, and all feed the row 9 too.
func amounts(mended *atomic.Bool) projections.Fold[Total, Event] {
	def := poisonedTotals(mended)
	def.Table = foldedCollation + `create table totals (bucket text collate folded primary key, events bigint not null, cents bigint not null check (cents < 5000))`
	def.Keys = func(_ Event, r es.Recorded) []string {
		return []string{map[string]string{"a-1": "one", "a-2": "ONE"}[r.Stream.ID], "9"}
	}
	apply := def.TryApply
	def.TryApply = func(t *Total, e Event, r es.Recorded) error {
		if t.Bucket == "9" {
			t.Events++
			return nil
		}
		return apply(t, e, r)
	}
	return def
}

func byNumber(t Total) string { // whatever text the row came with
	if t.Bucket == "ONE" {
		return "one"
	}
	return t.Bucket
}

// parkTwoTexts parks an event of each of two streams for the same row, by two texts of its
// key, and then what comes after them.
func (w *world) parkTwoTexts(p *projections.Projector) {
	w.Helper()
	reach(w, p, w.append("a-1", Deposited{Cents: failsEverywhere}))
	reach(w, p, w.append("a-2", Deposited{Cents: 5000})) // refused: found without a look at the other stream
	w.append("a-1", Deposited{Cents: 100})
	reach(w, p, w.append("a-2", Deposited{Cents: 200}))
	wantParked(w, p, w.store, 4)
	same(w, map[string]Total{"9": {Bucket: "9", Events: 4}}, tableOf(w, "totals.totals", byNumber))
}

func TestParked_sequences_are_kept_apart_by_the_key_and_not_by_its_text(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	p := projections.New(w.store, amounts(mended))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, p)
	w.parkTwoTexts(p)
	for range 8 { // whichever text comes first
		w.append("a-1", Deposited{Cents: 100})
		reach(t, p, w.append("a-2", Deposited{Cents: 200}))
	}
	wantParked(t, p, w.store, 20)
	w.exec(`alter table totals.totals drop constraint totals_cents_check`)
	mended.Store(true)
	if done, err := p.RetryAll(t.Context()); err != nil || done.Applied != 20 {
		t.Errorf("%+v, %v", done, err)
	}
	wantParked(t, p, w.store, 0)
	got := tableOf(w, "totals.totals", byNumber)
	if row := got["one"]; row.Events != 20 || row.Cents != failsEverywhere+5000+9*300 || got["9"].Events != 20 || len(got) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestSkip_leaves_out_the_row_whatever_the_text_of_its_key(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	p := projections.New(w.store, amounts(mended))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := start(t, p)
	w.parkTwoTexts(p)
	history := w.history()
	if done, err := p.Skip(t.Context(), history[0].ID, "not for it"); err != nil || done.Applied != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	if done, err := p.RetrySequence(t.Context(), account("a-2")); err != nil || done.Applied != 0 || done.Parked != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	if done, err := p.Skip(t.Context(), history[1].ID, "nor this"); err != nil || done.Applied != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	wantParked(t, p, w.store, 0)
	want := map[string]Total{"one": {Bucket: "one", Events: 2, Cents: 300}, "9": {Bucket: "9", Events: 4}}
	number := func(got map[string]Total) map[string]Total {
		row := got["one"]
		row.Bucket = "one"
		got["one"] = row
		return got
	}
	same(t, want, number(tableOf(w, "totals.totals", byNumber)))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	last := history[len(history)-1].Position
	same(t, want, number(asOf(w, p, es.AtPosition(last), "totals", byNumber)))
	for range 4 { // in any order of what is known
		if err := p.Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, want, number(tableOf(w, "totals.totals", byNumber)))
		wantParked(t, p, w.store, 0)
	}
}

// What is skipped for a row of one version is no key of another, whose keys are of another
// type: that event alone is parked.
func TestSkip_for_a_key_that_another_version_cannot_have_parks_no_other_event(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, poisonedTotals(new(atomic.Bool)))
	w.append("a-1", Deposited{Cents: 100}, Deposited{Cents: failsForAll})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Skip(t.Context(), w.history()[1].ID, "not for all"); err != nil {
		t.Fatal(err)
	}
	def := amounts(new(atomic.Bool))
	def.Version = 2
	def.Table = `create table totals (bucket interval primary key, events bigint not null, cents bigint not null)`
	def.Keys = func(_ Event, r es.Recorded) []string { return []string{"1 day"} }
	p2 := projections.New(w.store, def)
	w.append("a-2", Deposited{Cents: 100})
	if err := p2.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, p2)
	reach(t, p2, w.append("a-2", Deposited{Cents: 200}))
	for _, u := range wantParked(t, p2, w.store, 1) {
		if u.Event.ID != w.history()[1].ID {
			t.Errorf("%+v", u)
		}
	}
}

// A key that is no text, as that of an event that cannot be read, leaves open which row it is:
// also where the row would not be looked up.
func TestKey_that_is_no_text_parks_the_stream_live_rebuilt_and_as_of(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := poisonedTotals(new(atomic.Bool))
	def.Keys = func(e Event, _ es.Recorded) []string {
		if cents(e) == failsEverywhere {
			return []string{"fine", "a\x00b"}
		}
		return []string{"fine"}
	}
	p := projections.New(w.store, def)
	w.append("a-1", Deposited{Cents: 100})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := start(t, p)
	last := w.append("a-1", Deposited{Cents: failsEverywhere}, Deposited{Cents: 200})
	reach(t, p, last)
	want := map[string]Total{"fine": {Bucket: "fine", Events: 1, Cents: 100}}
	check := func() {
		t.Helper()
		same(t, want, tableOf(w, "totals.totals", byBucket))
		for _, u := range wantParked(t, p, w.store, 2) {
			if u.Key != "" {
				t.Errorf("%+v", u)
			}
		}
	}
	check()
	same(t, want, asOf(w, p, es.AtPosition(last), "totals", byBucket))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	check()
}

// A key that is too long for an index can be parked, tried again and skipped.
func TestKey_that_is_too_long_for_an_index_is_parked(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"live", "rebuilt"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			def := poisonedTotals(new(atomic.Bool))
			long := noise(20_000)
			def.Keys = func(e Event, _ es.Recorded) []string {
				if cents(e) == 5000 {
					return []string{"fine", long}
				}
				return []string{"fine"}
			}
			p := projections.New(w.store, def)
			last := w.append("a-1", Deposited{Cents: 100}, Deposited{Cents: 5000}, Deposited{Cents: 200})
			if way == "rebuilt" {
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			start(t, p)
			reach(t, p, last)
			list := wantParked(t, p, w.store, 1)
			if list[0].Key != long || list[0].Version != 1 || list[0].Event.Version != 2 {
				t.Errorf("%+v", list)
			}
			if done, err := p.RetryAll(t.Context()); err != nil || done != (projections.Retried{Parked: 1}) {
				t.Errorf("%+v, %v", done, err)
			}
			if _, err := p.Skip(t.Context(), list[0].Event.ID, "no such row"); err != nil {
				t.Error(err)
			}
			wantParked(t, p, w.store, 0)
			same(t, map[string]Total{"fine": {Bucket: "fine", Events: 3, Cents: 5300}}, tableOf(w, "totals.totals", byBucket))
		})
	}
}
