package estest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/estest"
)

// recorder is a test whose failures are looked at.
type recorder struct {
	testing.TB
	failures []string
}

func (*recorder) Helper()                  {}
func (*recorder) Context() context.Context { return context.Background() }

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// run is Golden, with or without leave to write.
func run(t *testing.T, write bool, codec es.Codec[es.Event], dir string, examples ...es.Event) []string {
	t.Helper()
	t.Setenv(estest.WriteEnv, map[bool]string{true: "write", false: ""}[write])
	r := &recorder{TB: t}
	estest.Golden(r, codec, dir, examples...)
	return r.failures
}

// says checks that there is one failure, with these words.
func says(t *testing.T, what string, failures []string, words ...string) {
	t.Helper()
	if len(words) == 0 && len(failures) == 0 {
		return
	}
	if len(words) == 0 || len(failures) != 1 {
		t.Errorf("%s: %d failures: %s", what, len(failures), strings.Join(failures, "\n"))
		return
	}
	for _, w := range words {
		if !strings.Contains(failures[0], w) {
			t.Errorf("%s: %q is not in %s", what, w, failures[0])
		}
	}
}

const paidType = "order.paid"

// How an event changes in the years.
type (
	first struct {
		Cents int64      `json:"cents"`
		Note  string     `json:"note,omitempty"`
		By    *uuid.UUID `json:"by,omitempty"`
		Lines []line     `json:"lines,omitempty"`
		At    time.Time  `json:"at"`
	}
	line struct {
		Sku string `json:"sku,omitempty"`
	}
	without struct { // the note
		Cents int64      `json:"cents"`
		By    *uuid.UUID `json:"by,omitempty"`
		Lines []line     `json:"lines,omitempty"`
		At    time.Time  `json:"at"`
	}
	retyped struct {
		first
		Cents string `json:"cents"`
	}
	renamed struct {
		Cents int64      `json:"amount"`
		Note  string     `json:"note,omitempty"`
		By    *uuid.UUID `json:"by,omitempty"`
		Lines []line     `json:"lines,omitempty"`
		At    time.Time  `json:"at"`
	}
	grown struct {
		first
		Currency string `json:"currency,omitempty"`
	}
	second struct {
		Amount int64  `json:"amount"`
		By     string `json:"by,omitempty"`
	}
	rounded struct {
		first
		Cents tens `json:"cents"`
	}
	tens int64 // has become one of ten
)

func (first) EventType() string   { return paidType }
func (without) EventType() string { return paidType }
func (retyped) EventType() string { return paidType }
func (renamed) EventType() string { return paidType }
func (grown) EventType() string   { return paidType }
func (rounded) EventType() string { return paidType }

func (n *tens) UnmarshalJSON(data []byte) error {
	err := json.Unmarshal(data, (*int64)(n))
	*n /= 10
	return err
}

func (second) EventType() string { return paidType }
func (second) EventSchema() int  { return 2 }

func plain(e es.Event) es.Codec[es.Event] { return es.JSON(e) }

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the test's own
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestGolden_finds_what_stored_events_would_lose(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "events")
	says(t, "no file yet", run(t, false, plain(first{}), dir, first{}), "order.paid.v1.json", "ASOF_GOLDEN=write")
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("it has written without leave")
	}
	says(t, "the first file", run(t, true, plain(first{}), dir, first{}))
	written := read(t, dir, "order.paid.v1.json")
	for _, part := range []string{`"cents": 1`, `"note": "text"`, `"by": "`, `"sku": "text"`, `"at": "2026-01-02T`} {
		if !strings.Contains(written, part) {
			t.Errorf("%s is not in what zero is filled in with:\n%s", part, written)
		}
	}
	says(t, "as it was", run(t, false, plain(first{}), dir, first{}))
	says(t, "other values in the example", run(t, false, plain(first{}), dir, first{Cents: 9, Lines: []line{{"a"}, {"b"}}}))

	for _, write := range []bool{false, true} { // leave to write is none to lose
		says(t, "a field less", run(t, write, plain(without{}), dir, without{}), ".note", "EventSchema", "upcaster")
		says(t, "a field of another type", run(t, write, plain(retyped{}), dir, retyped{}), "cents", "EventSchema", "upcaster")
		says(t, "a field that means something else", run(t, write, plain(rounded{}), dir, rounded{}), ".cents", "EventSchema", "upcaster")
		says(t, "a field of another name", run(t, write, plain(renamed{}), dir, renamed{}), ".cents", "EventSchema", "upcaster")
	}
	says(t, "a type without a file", run(t, false, es.Merge(plain(first{}), plain(other{})), dir, first{}), "other/thing:done", "other%2Fthing%3Adone.v1.json")

	says(t, "a field more", run(t, false, plain(grown{}), dir, grown{}), ".currency", "ASOF_GOLDEN=write")
	says(t, "a field more that is written", run(t, true, plain(grown{}), dir, grown{}))
	says(t, "and is lost", run(t, false, plain(first{}), dir, first{}), ".currency", "EventSchema")
}

type other struct{ N int }

func (other) EventType() string { return "other/thing:done" }

func TestGolden_holds_upcasters_to_what_they_made(t *testing.T) {
	dir := t.TempDir()
	says(t, "the first version", run(t, true, plain(first{}), dir, first{}))
	says(t, "no upcaster", run(t, true, plain(second{}), dir, second{}), "order.paid.v1.json", "es.Upcast")
	upcast := func(factor int64) es.Codec[es.Event] {
		return es.Upcast(plain(second{}), es.UpcastJSON(paidType, 1, func(old first) (second, error) { return second{Amount: old.Cents * factor}, nil }))
	}
	says(t, "what it makes is not known", run(t, false, upcast(1), dir, second{}), "order.paid.v1@order.paid.v2.json", "ASOF_GOLDEN=write")
	says(t, "it is written", run(t, true, upcast(1), dir, second{}))
	says(t, "as it was", run(t, false, upcast(1), dir, second{}))
	for _, write := range []bool{false, true} {
		says(t, "another upcaster", run(t, write, upcast(100), dir, second{}), ".amount", "order.paid.v1@order.paid.v2.json")
	}

	more := es.Upcast(plain(second{}), es.UpcastJSON(paidType, 1, func(old first) (second, error) { return second{old.Cents, old.Note}, nil }))
	says(t, "an upcaster that makes more", run(t, false, more, dir, second{}), ".by", "order.paid.v1@order.paid.v2.json", "ASOF_GOLDEN=write")
	says(t, "that is written", run(t, true, more, dir, second{}))
	says(t, "and is lost", run(t, true, upcast(1), dir, second{}), ".by", "correct the upcasters")
	if err := os.Remove(filepath.Join(dir, "order.paid.v1@order.paid.v2.json")); err != nil {
		t.Fatal(err)
	}
	says(t, "written anew", run(t, true, upcast(1), dir, second{}))

	lost := filepath.Join(dir, "order.settled.v1.json") // of a type that is only read
	if err := os.WriteFile(lost, []byte(`{"amount":3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	says(t, "a type that nothing reads", run(t, false, upcast(1), dir, second{}), "order.settled", "unknown event type")
	says(t, "it is read", run(t, true, es.Upcast(upcast(1), es.Renamed("order.settled", 1, paidType, 2)), dir, second{}))
	if err := os.WriteFile(filepath.Join(dir, "note.vx.json"), []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	says(t, "no file of a payload", run(t, false, es.Upcast(upcast(1), es.Renamed("order.settled", 1, paidType, 2)), dir, second{}), "note.vx.json", "TYPE.vSCHEMA.json")
}

// node leads to itself, shares what it leads to, and writes itself in a way of its own.
type node struct {
	Next   *node            `json:"next,omitempty"`
	Names  map[string][]int `json:"names"`
	Shared *int             `json:"shared"`
	Exact  exact            `json:"exact"`
	Any    any              `json:"any"`
}

func (*node) EventType() string { return "test.node" }

type exact struct{ digits string }

func (e exact) MarshalJSON() ([]byte, error) { return json.Marshal(e.digits) }
func (e *exact) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &e.digits)
}

// third is the shape after the second.
type third struct {
	Money int64 `json:"money"`
}

func (third) EventType() string { return paidType }
func (third) EventSchema() int  { return 3 }

func TestGolden_goes_on_to_a_third_version(t *testing.T) {
	dir := t.TempDir()
	one := es.UpcastJSON(paidType, 1, func(old first) (second, error) { return second{Amount: old.Cents}, nil })
	two := es.UpcastJSON(paidType, 2, func(old second) (third, error) { return third{old.Amount}, nil })
	says(t, "the first", run(t, true, plain(first{}), dir, first{}))
	says(t, "the second", run(t, true, es.Upcast(plain(second{}), one), dir, second{}))
	says(t, "the third", run(t, true, es.Upcast(plain(third{}), one, two), dir, third{}))
	says(t, "all as they were", run(t, false, es.Upcast(plain(third{}), one, two), dir, third{}))
	if text := read(t, dir, "order.paid.v1@order.paid.v3.json"); !strings.Contains(text, `"money": 1`) {
		t.Error(text)
	}
}

// side is a type that takes some texts only.
type side string

func (s *side) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil || text != "in" && text != "out" {
		return fmt.Errorf("%s is no side: %v", data, err) //nolint:errorlint // it may be none
	}
	*s = side(text)
	return nil
}

type sided struct{ Side side }

func (sided) EventType() string { return "test.sided" }

func TestGolden_takes_an_example_that_cannot_be_filled_in_as_it_is(t *testing.T) {
	dir := t.TempDir()
	says(t, "written", run(t, true, plain(sided{}), dir, sided{"in"}))
	says(t, "as it was", run(t, false, plain(sided{}), dir, sided{"in"}))
	if text := read(t, dir, "test.sided.v1.json"); !strings.Contains(text, `"in"`) {
		t.Error(text)
	}
}

func TestGolden_fills_in_a_copy(t *testing.T) {
	dir, zero := t.TempDir(), 0
	example := &node{Shared: &zero, Names: map[string][]int{"mine": nil}, Exact: exact{"1.50"}}
	says(t, "written", run(t, true, plain(example), dir, example))
	says(t, "as it was", run(t, false, plain(example), dir, example))
	if zero != 0 || example.Next != nil || len(example.Names) != 1 {
		t.Errorf("the example was changed: %+v, %d", example, zero)
	}
	if text := read(t, dir, "test.node.v1.json"); !strings.Contains(text, `"1.50"`) || !strings.Contains(text, `"shared": 1`) || !strings.Contains(text, `"mine"`) {
		t.Error(text)
	}
}
