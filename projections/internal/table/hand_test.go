package table //nolint:testpackage // what it tests is not for others

import (
	"slices"
	"testing"
)

// What hands have changed is written in the order in which one would have changed it, so that
// two that write the same rows ask for their locks in the same order.
func TestGather_puts_the_rows_of_hands_in_the_order_of_the_touches(t *testing.T) {
	t.Parallel()
	rs := &Rows[int]{dirty: []*Row[int]{{key: "before"}}, sizes: sizes{changes: 1, looked: 1, bytes: 10}}
	hands := rs.Hands(3)
	touch := func(hand, at int, key string) {
		hands[hand].dirty = append(hands[hand].dirty, touched[int]{&Row[int]{key: key}, at})
	}
	touch(0, 5, "c")
	touch(0, 9, "e")
	touch(1, 2, "b")
	touch(2, 0, "a")
	touch(2, 7, "d")
	hands[1].sizes = sizes{changes: 2, looked: 1, bytes: 30}
	rs.Gather(hands)
	var keys []string
	for _, r := range rs.dirty {
		keys = append(keys, r.key)
	}
	if want := []string{"before", "a", "b", "c", "d", "e"}; !slices.Equal(keys, want) {
		t.Errorf("got %q, want %q", keys, want)
	}
	if want := (sizes{changes: 3, looked: 2, bytes: 40}); rs.sizes != want {
		t.Errorf("got %+v, want %+v", rs.sizes, want)
	}
}
