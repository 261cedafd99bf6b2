package pgstore_test

import (
	"maps"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// Sums are counted here and in the database: both must hash alike.
func TestSums_are_those_of_the_events_up_to_a_position(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	want := map[string]pgstore.Sum{}
	var middle es.Position
	var upToMiddle map[string]pgstore.Sum
	for n := range 300 {
		id := es.StreamID{Category: []string{"a", "b", "c"}[n%3], ID: "1"}
		e := es.EventData{ID: es.NewID(), Type: "x", Data: []byte("{}")}
		if n%2 == 0 {
			e.ID[0] ^= byte(n) // any id, not those alone that begin with a time
		}
		recorded, err := store.Append(ctx, id, es.Any, e)
		must(t, err)
		sum := want[id.Category]
		sum.Add(e.ID)
		want[id.Category] = sum
		if n == 150 {
			middle, upToMiddle = recorded[0].Position, maps.Clone(want)
		}
	}
	head, err := store.Settle(ctx, time.Time{})
	must(t, err)
	got, err := store.Sums(ctx, 0, head)
	must(t, err)
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got, err = store.Sums(ctx, 0, middle)
	must(t, err)
	if !maps.Equal(got, upToMiddle) {
		t.Errorf("in the middle: got %v, want %v", got, upToMiddle)
	}
	delete(want, "b")
	got, err = store.Sums(ctx, 0, head, "a", "c", "none")
	must(t, err)
	if !maps.Equal(got, want) {
		t.Errorf("of two categories: got %v, want %v", got, want)
	}
	for _, upTo := range []es.Position{0, middle} {
		got, err = store.Sums(ctx, 0, upTo, "b")
		must(t, err)
		if one := upToMiddle["b"]; upTo == 0 && len(got) > 0 || upTo > 0 && (len(got) != 1 || got["b"] != one) {
			t.Errorf("of one category up to %d: got %v, want %v", upTo, got, one)
		}
	}
	got, err = store.Sums(ctx, middle, head, "none")
	must(t, err)
	if len(got) > 0 {
		t.Errorf("of a category without events: got %v", got)
	}
}

func TestSum_of_other_events_is_another(t *testing.T) {
	t.Parallel()
	ids := make([]pgstore.Sum, 3)
	first, second := es.NewID(), es.NewID()
	ids[0].Add(first)
	ids[1].Add(second)
	ids[2].Add(first)
	ids[2].Add(first) // twice is not none
	if ids[0] == ids[1] || ids[0] == ids[2] || ids[2] == (pgstore.Sum{}) {
		t.Error(ids)
	}
}
