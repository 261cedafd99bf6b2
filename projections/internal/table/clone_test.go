package table //nolint:testpackage // what it tests is not for others

import (
	"math/big"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

type inner struct {
	Words []string
	Next  *inner
}

// closed hides what it has.
type closed struct {
	words []string
	sets  map[string][]int
	addr  netip.Addr
	one   *int
}

type rich struct {
	N      int
	Text   string
	At     time.Time
	Until  *time.Time
	Bytes  []byte
	Lines  [][]string
	Counts map[string][]int
	Amount pgtype.Numeric
	Any    any
	Pair   [2]*inner
	Closed closed
	Far    *closed
	inner
}

var one = 1

func fill() rich {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	hides := func() closed {
		return closed{words: []string{"w"}, sets: map[string][]int{"a": {1}}, addr: netip.MustParseAddr("fe80::1%eth0"), one: &one}
	}
	far := hides()
	return rich{
		Closed: hides(), Far: &far,
		N: 1, Text: "a", At: at, Until: &at, Bytes: []byte("bytes"), Lines: [][]string{{"a"}, nil},
		Counts: map[string][]int{"a": {1, 2}}, Amount: pgtype.Numeric{Int: big.NewInt(12), Valid: true},
		Any: []int{1}, Pair: [2]*inner{{Words: []string{"x"}}, nil}, inner: inner{Words: []string{"w"}, Next: &inner{Words: []string{"n"}}},
	}
}

func TestClone_shares_nothing_that_can_be_changed(t *testing.T) {
	t.Parallel()
	r := fill()
	copied := clone(&r, leads(reflect.TypeFor[rich]()))
	if !reflect.DeepEqual(copied, fill()) {
		t.Fatalf("%+v", copied)
	}
	*r.Until = r.Until.Add(1)
	r.Bytes[0] = 'B'
	r.Lines[0][0] = "b"
	r.Counts["a"][0] = 7
	r.Counts["b"] = nil
	r.Amount.Int.Add(r.Amount.Int, big.NewInt(1))
	r.Any.([]int)[0] = 9
	r.Pair[0].Words[0] = "y"
	r.Next.Words[0] = "m"
	r.Closed.words[0] = "v"
	r.Closed.sets["a"][0] = 2
	r.Far.sets["b"] = nil
	if !reflect.DeepEqual(copied, fill()) {
		t.Errorf("what was changed since shows in the copy: %+v", copied)
	}
	if copied.Closed.one != &one || copied.Far.addr != r.Far.addr {
		t.Error("a hidden pointer leads elsewhere")
	}
}

func TestLeads_tells_which_types_need_a_deep_copy(t *testing.T) {
	t.Parallel()
	for value, want := range map[any]bool{
		1: false, "a": false, [2]int{}: false, time.Time{}: false, struct{ A, B string }{}: false,
		struct{ At time.Time }{}: false, struct{ At *time.Time }{}: true, inner{}.Next: true, [1][1]*int{}: true, pgtype.Numeric{}: true,
	} {
		if got := leads(reflect.TypeOf(value)); got != want {
			t.Errorf("%T: %v", value, got)
		}
	}
}
