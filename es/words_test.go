package es_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/memstore"
)

func TestExpected(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want    es.Expected
		text    string
		matches [3]bool // versions 0, 1, 2
		valid   bool
	}{
		{es.NoStream, "no stream", [3]bool{true, false, false}, true},
		{es.Exactly(0), "no stream", [3]bool{true, false, false}, true},
		{es.Exactly(2), "version 2", [3]bool{false, false, true}, true},
		{es.Any, "any version", [3]bool{true, true, true}, true},
		{es.StreamExists, "an existing stream", [3]bool{false, true, true}, true},
		{es.Expected(-3), "version -3", [3]bool{false, false, false}, false},
	} {
		if c.want.String() != c.text {
			t.Errorf("%d: got %q, want %q", int64(c.want), c.want, c.text)
		}
		for v, want := range c.matches {
			if got := c.want.Matches(es.Version(v)); got != want {
				t.Errorf("%s matches %d: %t", c.want, v, got)
			}
		}
		if err := c.want.Validate(); (err == nil) != c.valid || err != nil && !errors.Is(err, es.ErrInvalid) {
			t.Errorf("%s: %v", c.want, err)
		}
	}
	if v, ok := es.Exactly(7).Exact(); v != 7 || !ok {
		t.Errorf("Exact of Exactly(7): %d, %t", v, ok)
	}
	if _, ok := es.Any.Exact(); ok {
		t.Error("Any is exact")
	}
}

func TestConflict_error(t *testing.T) {
	t.Parallel()
	s := es.StreamID{Category: "a", ID: "1"}
	err := fmt.Errorf("wrapped: %w", &es.ConflictError{Stream: s, Want: es.Exactly(3), Got: 5})
	if !errors.Is(err, es.ErrConflict) || errors.Is(err, es.ErrRetry) {
		t.Error("it is no ErrConflict")
	}
	for _, part := range []string{"a/1", "version 5", "version 3", "decide again"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	none := &es.ConflictError{Stream: s, Want: es.StreamExists}
	if !strings.Contains(none.Error(), "does not exist") {
		t.Errorf("%q does not say that there is no stream", none)
	}
}

func TestAs_of(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 5000, time.FixedZone("", 3600))
	r := es.Recorded{Version: 3, Position: 30, RecordedAt: noon.UTC()}
	for _, c := range []struct {
		at       es.AsOf
		includes bool
		text     string
	}{
		{es.AsOf{}, false, "before the first event"},
		{es.AtVersion(2), false, "version 2"},
		{es.AtVersion(3), true, "version 3"},
		{es.AtPosition(29), false, "position 29"},
		{es.AtPosition(30), true, "position 30"},
		{es.AtTime(noon), true, "2026-03-01T11:00:00.000005Z"},
		{es.AtTime(noon.Add(999 * time.Nanosecond)), true, "2026-03-01T11:00:00.000005Z"},
		{es.AtTime(noon.Add(-time.Nanosecond)), false, "2026-03-01T11:00:00.000004Z"},
	} {
		if got := c.at.Includes(r); got != c.includes {
			t.Errorf("%s includes: %t", c.at, got)
		}
		if c.at.String() != c.text {
			t.Errorf("got %q, want %q", c.at, c.text)
		}
		_, version := c.at.Version()
		_, position := c.at.Position()
		_, at := c.at.Time()
		if kinds := [3]bool{version, position, at}; kinds != [3]bool{strings.HasPrefix(c.text, "version"), strings.HasPrefix(c.text, "position"), strings.HasPrefix(c.text, "2026")} {
			t.Errorf("%s: version, position, time: %v", c.at, kinds)
		}
	}
}

// Deposited is an event of the examples.
type Deposited struct{ Cents int64 }

// EventType is its stored name.
func (Deposited) EventType() string { return "account.deposited" }

func Example() {
	ctx := context.Background()
	store := memstore.New()
	codec := es.JSON[es.Event](Deposited{})
	account := es.StreamID{Category: "account", ID: "a-1"}

	data, err := codec.Encode(ctx, account, Deposited{Cents: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = store.Append(ctx, account, es.NoStream, data)
	fmt.Println("appended:", err)
	_, err = store.Append(ctx, account, es.NoStream, data) // the same event id: nothing new
	fmt.Println("again:", err)
	data.ID = es.NewID()
	_, err = store.Append(ctx, account, es.NoStream, data)
	fmt.Println(err)

	for recorded, err := range store.ReadStream(ctx, account, 1) {
		if err != nil {
			fmt.Println(err)
			return
		}
		event, err := es.One(codec.Decode(ctx, nil, recorded))
		fmt.Println(recorded.Version, recorded.Type, event, err)
	}
	// Output:
	// appended: <nil>
	// again: <nil>
	// es: conflict: account/a-1 is at version 1, but no stream was expected: load it and decide again
	// 1 account.deposited {100} <nil>
}

func ExampleAsOf() {
	fmt.Println(es.AtVersion(3))
	fmt.Println(es.AtTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)).Includes(es.Recorded{
		Version: 7, RecordedAt: time.Date(2026, 3, 1, 11, 59, 0, 0, time.UTC),
	}))
	// Output:
	// version 3
	// true
}
