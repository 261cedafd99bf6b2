package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/mapping"
	"github.com/asof-dev/asof/es/outbox"
)

// happened is what some records.
type happened struct {
	N int `json:"n"`
}

func (happened) EventType() string { return "test.happened" }

// counted and doubled are what others get of it.
type (
	counted struct {
		Count int `json:"count"`
	}
	doubled struct{ Twice string }
)

func (counted) EventType() string { return "public.counted" }
func (counted) EventSchema() int  { return 4 }
func (doubled) EventType() string { return "public.doubled" }

// switchboard says what a mapping does now.
type switchboard struct {
	mu      sync.Mutex
	fails   map[int]error // by N
	panics  map[int]bool
	mapped  int
	leaving bool // nothing is published of odd ones
}

func (s *switchboard) set(change func(s *switchboard)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *switchboard) mapping(name, category string, sparse bool) mapping.Mapping {
	return mapping.Of(mapping.Config[happened, es.Event]{
		Name: name, Category: category, Sparse: sparse,
		Codec: es.JSON(happened{}), Public: es.JSON[es.Event](counted{}, doubled{}),
		Map: func(_ context.Context, e happened, _ es.Recorded) ([]es.Event, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.mapped++
			if err := s.fails[e.N]; err != nil {
				return nil, err
			}
			if s.panics[e.N] {
				panic("at the mapping")
			}
			switch {
			case s.leaving && e.N%2 == 1:
				return nil, nil
			case e.N%3 == 2:
				return []es.Event{counted{e.N}, doubled{fmt.Sprint(2 * e.N)}}, nil
			}
			return []es.Event{counted{e.N}}, nil
		},
	})
}

// one appends an event.
func (w *world) one(category, id string, n int) es.RecordedEvent {
	w.Helper()
	recorded, err := w.store.Append(w.Context(), es.StreamID{Category: category, ID: id}, es.Any, es.EventData{ID: es.NewID(), Type: "test.happened", Data: fmt.Appendf(nil, `{"n":%d}`, n)})
	if err != nil {
		w.Fatal(err)
	}
	return recorded[0]
}

// told are the messages of a topic in words, by key.
func (w *world) told(topic string) map[string][]string {
	w.Helper()
	told := map[string][]string{}
	for _, messages := range w.published(w.prefix + topic) {
		for _, m := range messages {
			e := w.eventOf(m)
			text := fmt.Sprintf("%d %s/%d %s", e.Version, e.Type, e.Schema, e.Data)
			if e.Parts > 0 {
				text += fmt.Sprintf(" %d of %d", e.Part, e.Parts)
			}
			told[e.Stream.ID] = append(told[e.Stream.ID], text)
		}
	}
	return told
}

func (w *world) tells(topic, id string, want ...string) {
	w.Helper()
	if got := w.told(topic)[id]; !slices.Equal(got, want) {
		w.Errorf("%s of topic %s: got %q, want %q", id, topic, got, want)
	}
}

// What is published is another thing than what the log has: other names and fields, several
// or none, in versions side by side; and what has no mapping is as it was.
func TestMappings_say_what_is_published(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	board := &switchboard{leaving: true}
	start(t, w.relay(outbox.WithPartitions(2, "order-v2"), outbox.WithMappings(
		(&switchboard{}).mapping("order-v1", "order", false), board.mapping("order-v2", "order", true), mapping.Plain("order", "order-internal"))))
	var recorded []es.RecordedEvent
	for n := range 3 {
		recorded = append(recorded, w.one("order", "o-1", n))
	}
	w.one("other", "o-1", 7)
	w.wait()
	two := []string{`3 public.counted/4 {"count":2} 1 of 2`, `3 public.doubled/1 {"Twice":"4"} 2 of 2`}
	w.tells("order-v1", "o-1", append([]string{`1 public.counted/4 {"count":0}`, `2 public.counted/4 {"count":1}`}, two...)...)
	w.tells("order-v2", "o-1", append([]string{`1 public.counted/4 {"count":0}`}, two...)...)
	w.tells("order-internal", "o-1", `1 test.happened/1 {"n":0}`, `2 test.happened/1 {"n":1}`, `3 test.happened/1 {"n":2}`)
	w.tells("other", "o-1", `1 test.happened/1 {"n":7}`)
	if _, err := w.client.Heads(t.Context(), w.prefix+"order"); err == nil {
		t.Error("there is a topic of the category's name")
	}
	if heads, err := w.client.Heads(t.Context(), w.prefix+"order-v2"); err != nil || len(heads) != 2 {
		t.Errorf("%v, %v", heads, err)
	}
	var ids []string
	for _, messages := range w.published(w.prefix + "order-v2") {
		for _, m := range messages {
			headers := map[string]string{}
			for _, h := range m.Headers {
				headers[h.Key] = string(h.Value)
			}
			ids = append(ids, headers["ce_id"])
			if headers["ce_dense"] != "false" || headers["ce_category"] != "order" || headers["ce_life"] == "" {
				t.Errorf("%v", headers)
			}
		}
	}
	last := recorded[2].ID.String()
	if want := []string{recorded[0].ID.String(), last + "#1", last + "#2"}; !slices.Equal(ids, want) {
		t.Errorf("ids %q, want %q", ids, want)
	}
}

// What a mapping cannot publish holds up its stream to its topic, and nothing else. It is
// published in order when the program is mended, by the relay itself.
func TestMapping_that_fails_holds_one_stream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	board := &switchboard{fails: map[int]error{1: errors.New("no such thing")}, panics: map[int]bool{4: true}}
	relay := func() *outbox.Relay {
		return w.relay(outbox.WithHeldRetry(20*time.Millisecond), outbox.WithMappings(board.mapping("order-v1", "order", false), mapping.Plain("order", "plain")))
	}
	stop := start(t, relay())
	w.one("order", "o-1", 0)
	bad := w.one("order", "o-1", 1)
	w.one("order", "o-2", 1)
	w.one("order", "o-1", 3)
	w.one("order", "o-3", 3)
	w.one("order", "o-1", 4)
	w.wait()
	first := `1 public.counted/4 {"count":0}`
	w.tells("order-v1", "o-1", first)
	w.tells("order-v1", "o-2")
	w.tells("order-v1", "o-3", `1 public.counted/4 {"count":3}`)
	w.tells("plain", "o-1", `1 test.happened/1 {"n":0}`, `2 test.happened/1 {"n":1}`, `3 test.happened/1 {"n":3}`, `4 test.happened/1 {"n":4}`)
	if s := w.status(); s.Held != 2 || s.Lag != 0 || s.Failure != "" || !strings.Contains(s.String(), "2 streams held") {
		t.Errorf("%s", s)
	}
	w.until("it is tried again", func() bool {
		list, err := outbox.ListHeld(t.Context(), w.store)
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		h := list[0]
		if e := h.Event; h.Mapping != "order-v1" || e.ID != bad.ID || e.Stream != bad.Stream || e.Version != 2 || e.Position != bad.Position || e.Type != bad.Type || !strings.Contains(h.Error, "mapping order-v1: test.happened of order/o-1 version 2: no such thing") {
			t.Fatalf("%+v", h)
		}
		return h.Attempts > 2 && h.Last.After(h.First)
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	stop = start(t, relay()) // another process knows it too
	w.one("order", "o-1", 6)
	w.wait()
	w.tells("order-v1", "o-1", first)
	board.set(func(s *switchboard) { s.fails = nil })
	second := []string{first, `2 public.counted/4 {"count":1}`, `3 public.counted/4 {"count":3}`}
	w.until("it comes to the next that fails", func() bool {
		list, err := outbox.ListHeld(t.Context(), w.store)
		return err == nil && len(list) == 1 && list[0].Event.Version == 4 && strings.Contains(list[0].Error, "panic: at the mapping")
	})
	w.tells("order-v1", "o-1", second...)
	w.tells("order-v1", "o-2", `1 public.counted/4 {"count":1}`)
	list, err := outbox.ListHeld(t.Context(), w.store)
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := outbox.SkipHeld(t.Context(), w.store, "order-v1", uuid.New()); !errors.Is(err, outbox.ErrNotHeld) {
		t.Error(err)
	}
	if err := outbox.SkipHeld(t.Context(), w.store, "order-v1", list[0].Event.ID); err != nil {
		t.Fatal(err)
	}
	w.until("nothing is held", func() bool { return w.status().Held == 0 })
	w.one("order", "o-1", 7)
	w.wait()
	w.tells("order-v1", "o-1", append(second, `5 public.counted/4 {"count":6}`, `6 public.counted/4 {"count":7}`)...)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// A stream that has waited for long is published page by page, and free after the last.
func TestHeld_stream_of_many_events_is_published_whole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	board := &switchboard{fails: map[int]error{1: errors.New("no such thing")}}
	start(t, w.relay(outbox.WithBatch(2), outbox.WithHeldRetry(20*time.Millisecond), outbox.WithMappings(board.mapping("order-v1", "order", false))))
	want := []string{`1 public.counted/4 {"count":1}`}
	w.one("order", "o-1", 1)
	for n := range 8 {
		w.one("order", "o-1", 3*n)
		want = append(want, fmt.Sprintf(`%d public.counted/4 {"count":%d}`, n+2, 3*n))
	}
	w.wait()
	board.set(func(s *switchboard) { s.fails = nil })
	w.until("nothing is held", func() bool { return w.status().Held == 0 })
	w.tells("order-v1", "o-1", want...)
}

// The last event of a stream can be skipped once, and what comes later is not.
func TestSkipped_event_at_the_end_of_its_stream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	board := &switchboard{fails: map[int]error{1: errors.New("no such thing")}}
	stop := start(t, w.relay(outbox.WithMappings(board.mapping("order-v1", "order", false))))
	bad := w.one("order", "o-1", 1)
	w.wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []error{nil, outbox.ErrNotHeld} {
		if err := outbox.SkipHeld(t.Context(), w.store, "order-v1", bad.ID); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	w.one("order", "o-1", 3)
	start(t, w.relay(outbox.WithMappings(board.mapping("order-v1", "order", false))))
	w.wait()
	w.tells("order-v1", "o-1", `2 public.counted/4 {"count":3}`)
	if s := w.status(); s.Held != 0 {
		t.Errorf("%s", s)
	}
}

// An event of a newer schema, and what a mapping needs that is down, hold nothing: the relay
// waits, says so, has published all before it, and goes on by itself.
func TestMapping_that_has_to_wait_holds_nothing(t *testing.T) {
	t.Parallel()
	for what, why := range map[string]error{"unavailable": es.ErrUnavailable, "newer": es.ErrNewerSchema, "too many": errors.New("wrong program")} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			board := &switchboard{fails: map[int]error{4: fmt.Errorf("%w: of a test", why), 5: why}}
			options := []outbox.Option{outbox.WithLease(3 * time.Second), outbox.WithHeldRetry(20 * time.Millisecond), outbox.WithMappings(mapping.Plain("order", "plain"), board.mapping("order-v1", "order", false))}
			if what == "too many" {
				options = append(options, outbox.WithHeld(1))
				board.fails[9] = why
			}
			start(t, w.relay(options...))
			if what == "too many" {
				w.one("order", "o-9", 9)
			}
			before := w.one("order", "o-1", 3)
			w.one("order", "o-1", 4)
			w.one("order", "o-2", 1)
			w.until("it says that it waits", func() bool { return w.status().Failure != "" })
			s := w.status()
			if s.Position != before.Position || s.Lag != 2 || s.Held != int64(map[bool]int{what == "too many": 1}[true]) {
				t.Errorf("%s", s)
			}
			if what == "too many" && !strings.Contains(s.Failure, outbox.ErrTooManyHeld.Error()) {
				t.Errorf("%s", s)
			}
			board.set(func(s *switchboard) { s.fails = nil })
			w.wait()
			w.until("all of it is published", func() bool { return w.status().Held == 0 && w.status().Failure == "" })
			w.tells("order-v1", "o-1", `1 public.counted/4 {"count":3}`, `2 public.counted/4 {"count":4}`)
			w.tells("order-v1", "o-2", `1 public.counted/4 {"count":1}`)
			w.tells("plain", "o-1", `1 test.happened/1 {"n":3}`, `2 test.happened/1 {"n":4}`)
		})
	}
}

// What is too large, or of a type that nobody may have, would stop the relay at the broker: it
// is held. So is an event of which nothing is published where that is not said.
func TestMapping_of_what_cannot_be_published_is_held(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	of := func(name string, events ...es.Event) mapping.Mapping {
		var types []es.Event
		for _, e := range append([]es.Event{counted{}}, events...) {
			if !slices.ContainsFunc(types, func(t es.Event) bool { return t.EventType() == e.EventType() }) {
				types = append(types, e)
			}
		}
		return mapping.Of(mapping.Config[happened, es.Event]{
			Name: name, Category: "order", Codec: es.JSON(happened{}), Public: es.JSON(types...),
			Map: func(context.Context, happened, es.Recorded) ([]es.Event, error) { return events, nil },
		})
	}
	start(t, w.relay(outbox.WithMappings(of("large", doubled{strings.Repeat("x", es.MaxData)}), of("nothing"), of("fine", counted{}))))
	w.one("order", "o-1", 1)
	w.wait()
	list, err := outbox.ListHeld(t.Context(), w.store)
	if err != nil || len(list) != 2 || !strings.Contains(list[0].Error, "at most") || !strings.Contains(list[1].Error, "say Sparse") {
		t.Errorf("%+v, %v", list, err)
	}
	w.tells("fine", "o-1", `1 public.counted/4 {"count":0}`)
}

func TestMappings_that_are_mistakes_are_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	board := &switchboard{}
	for what, list := range map[string][]mapping.Mapping{
		"one name":                    {board.mapping("v1", "a", false), board.mapping("v1", "b", false)},
		"one topic":                   {board.mapping("v1", "a", false), mapping.Of(mapping.Config[happened, es.Event]{Name: "v2", Topic: "v1", Category: "a", Codec: es.JSON(happened{}), Public: es.JSON[es.Event](counted{}), Map: func(context.Context, happened, es.Recorded) ([]es.Event, error) { return nil, nil }})},
		"no value":                    {{}},
		"no name":                     {board.mapping("", "a", false)},
		"a topic that Kafka does not": {mapping.Plain("a", "a b")},
		"no category":                 {mapping.Plain("", "a")},
		"no map":                      {mapping.Of(mapping.Config[happened, es.Event]{Name: "v1", Category: "a", Codec: es.JSON(happened{}), Public: es.JSON[es.Event](counted{})})},
		"no codec":                    {mapping.Of(mapping.Config[happened, es.Event]{Name: "v1", Category: "a", Public: es.JSON[es.Event](counted{}), Map: func(context.Context, happened, es.Recorded) ([]es.Event, error) { return nil, nil }})},
	} {
		if err := w.runs(w.relay(outbox.WithMappings(list...))); !errors.Is(err, outbox.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, option := range []outbox.Option{outbox.WithHeld(0), outbox.WithHeldRetry(0)} {
		if err := w.runs(w.relay(option)); !errors.Is(err, outbox.ErrInvalid) {
			t.Errorf("%v", err)
		}
	}
}

// A relay that lacks a mapping by which another has published, as one of before a deployment does,
// publishes nothing, until it is said that the mapping has ended.
func TestRelay_without_a_mapping_that_has_begun_waits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	board := &switchboard{fails: map[int]error{1: errors.New("no such thing")}}
	v1, v2 := board.mapping("order-v1", "order", false), board.mapping("order-v2", "order", false)
	stop := start(t, w.relay(outbox.WithMappings(v1, v2)))
	w.one("order", "o-1", 0)
	w.one("order", "o-2", 1)
	w.wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	stop = start(t, w.relay(outbox.WithMappings(v1)))
	w.one("order", "o-1", 3)
	w.until("it waits", func() bool { return strings.Contains(w.status().Failure, "order-v2") })
	if s := w.status(); s.Lag != 1 || s.Held != 2 {
		t.Errorf("%s", s)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := w.runs(w.relay(outbox.WithMappings(v1, v2), outbox.WithEnded("order-v2"))); !errors.Is(err, outbox.ErrInvalid) {
		t.Error(err)
	}
	start(t, w.relay(outbox.WithMappings(v1), outbox.WithEnded("order-v2")))
	w.wait()
	if s := w.status(); s.Held != 1 || s.Failure != "" {
		t.Errorf("%s", s)
	}
	w.tells("order-v1", "o-1", `1 public.counted/4 {"count":0}`, `2 public.counted/4 {"count":3}`)
	w.tells("order-v2", "o-1", `1 public.counted/4 {"count":0}`)
}

// What an operator skips while a retry is under way stays skipped.
func TestSkip_is_not_undone_by_a_retry_that_is_under_way(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var bad es.RecordedEvent
	skipped := false
	m := mapping.Of(mapping.Config[happened, es.Event]{
		Name: "order-v1", Category: "order", Codec: es.JSON(happened{}), Public: es.JSON[es.Event](counted{}),
		Map: func(ctx context.Context, e happened, r es.Recorded) ([]es.Event, error) {
			if e.N != 1 {
				return []es.Event{counted{e.N}}, nil
			}
			if r.ID == bad.ID && !skipped { // it is tried again
				skipped = true
				if err := outbox.SkipHeld(ctx, w.store, "order-v1", r.ID); err != nil {
					t.Error(err)
				}
			}
			return nil, errors.New("no such thing")
		},
	})
	stop := start(t, w.relay(outbox.WithMappings(m)))
	e := w.one("order", "o-1", 1)
	w.one("order", "o-1", 3)
	w.wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	bad = e
	start(t, w.relay(outbox.WithMappings(m), outbox.WithHeldRetry(20*time.Millisecond)))
	w.until("nothing is held", func() bool { return w.status().Held == 0 })
	w.tells("order-v1", "o-1", `2 public.counted/4 {"count":3}`)
}

// After a loss of events nothing is held of those that are lost.
func TestRepair_forgets_what_is_held_of_lost_events(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	board := &switchboard{fails: map[int]error{1: errors.New("no such thing")}}
	stop := start(t, w.relay(outbox.WithMappings(board.mapping("order-v1", "order", false))))
	kept := w.one("order", "o-1", 1)
	lost := w.one("order", "o-2", 1)
	w.wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.exec(`alter table asof.events disable trigger events_immutable`)
	w.exec(`delete from asof.events where event_id = $1`, lost.ID)
	if err := outbox.Repair(t.Context(), w.store, kept.Position, outbox.EventsLost()); err != nil {
		t.Fatal(err)
	}
	if list, err := outbox.ListHeld(t.Context(), w.store); err != nil || len(list) != 1 || list[0].Event.ID != kept.ID {
		t.Errorf("%+v, %v", list, err)
	}
}

// Whatever fails when, and however often the relay is stopped, killed or repeated: of each
// stream the first occurrences come in order, none is left out, and parts come whole.
func TestAny_history_is_published_in_order_by_a_mapping_that_fails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := 0
	var ended []string // those of the rounds before
	rapid.Check(t, func(t *rapid.T) {
		if n++; n > 15 {
			return
		}
		defer func() { ended = append(ended, fmt.Sprintf("public%d", n)) }()
		category := fmt.Sprintf("order%d", n)
		board := &switchboard{fails: map[int]error{}, panics: map[int]bool{}}
		published := board.mapping(fmt.Sprintf("public%d", n), category, false)
		var stop func() error
		run := func() {
			stop = start(w, w.relay(outbox.WithHeldRetry(time.Millisecond), outbox.WithBatch(rapid.IntRange(1, 7).Draw(t, "batch")), outbox.WithMappings(published), outbox.WithEnded(ended...)))
		}
		run()
		versions := map[string]int{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				bad := rapid.IntRange(0, 6).Draw(t, "fails")
				board.set(func(s *switchboard) { s.fails[bad] = errors.New("no such thing") })
			case 1:
				board.set(func(s *switchboard) { clear(s.fails) })
			case 2:
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				run()
			case 3:
				w.exec(`update asof.relay set epoch = epoch + 1, lease_until = null, leader = null`) // as if another had taken it
			default:
				id := rapid.SampledFrom([]string{"o-1", "o-2", "o-3"}).Draw(t, "stream")
				w.one(category, id, rapid.IntRange(0, 6).Draw(t, "n"))
				versions[id]++
			}
		}
		board.set(func(s *switchboard) { clear(s.fails) })
		w.wait()
		w.until("nothing is held", func() bool { return w.status().Held == 0 })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if len(versions) == 0 {
			return
		}
		seen, parts := map[string]int{}, map[string]int{}
		for _, messages := range w.published(w.prefix + fmt.Sprintf("public%d", n)) {
			for _, m := range messages {
				e := w.eventOf(m)
				id, v := e.Stream.ID, int(e.Version)
				switch {
				case v <= seen[id]: // again
				case v != seen[id]+1 || e.Part > 1 && parts[id] != e.Part-1:
					t.Fatalf("%s version %d part %d comes after version %d part %d", id, v, e.Part, seen[id], parts[id])
				case e.Part < e.Parts:
					parts[id] = e.Part
				default:
					seen[id], parts[id] = v, 0
				}
			}
		}
		for id, v := range versions {
			if seen[id] != v {
				t.Fatalf("%s: %d of %d events are published", id, seen[id], v)
			}
		}
	})
}
