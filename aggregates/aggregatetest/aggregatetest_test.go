package aggregatetest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/aggregates/aggregatetest"
	"github.com/asof-dev/asof/es"
)

// Event is what can happen to a cart.
type Event interface {
	es.Event
	isCartEvent()
}

type (
	// Added puts an item into the cart.
	Added struct {
		Item string
		N    int
	}
	// Forgetful does not keep its note.
	Forgetful struct{ note string }
	// Unknown is missing in the codec.
	Unknown struct{}
	// Tagged has a list that its codec leaves out when it is empty.
	Tagged struct {
		Tags []string `json:"tags,omitempty"`
	}
	// Huge is larger than a store accepts.
	Huge struct{ Text string }
)

func (Added) EventType() string     { return "cart.added" }
func (Forgetful) EventType() string { return "cart.forgetful" }
func (Unknown) EventType() string   { return "cart.unknown" }
func (Tagged) EventType() string    { return "cart.tagged" }
func (Huge) EventType() string      { return "cart.huge" }

func (Added) isCartEvent()     {}
func (Forgetful) isCartEvent() {}
func (Unknown) isCartEvent()   {}
func (Tagged) isCartEvent()    {}
func (Huge) isCartEvent()      {}

// Cart counts its items.
type Cart struct{ items map[string]int }

func evolve(c Cart, e Event) Cart {
	if e, ok := e.(Added); ok {
		c.items = maps.Clone(c.items)
		if c.items == nil {
			c.items = map[string]int{}
		}
		c.items[e.Item] += e.N
	}
	return c
}

func decider() aggregates.Decider[Cart, Event] {
	return aggregates.Decider[Cart, Event]{Category: "cart", Evolve: evolve, Codec: es.JSON[Event](Added{}, Forgetful{}, Huge{})}
}

// inPlace is a decider that changes the map of the state that it was given.
func inPlace() aggregates.Decider[Cart, Event] {
	d := decider()
	d.Initial = func() Cart { return Cart{map[string]int{}} }
	d.Evolve = func(c Cart, e Event) Cart {
		if e, ok := e.(Added); ok {
			c.items[e.Item] += e.N
		}
		return c
	}
	return d
}

var errFull = errors.New("cart: full")

func add(item string, n int) func(Cart) ([]Event, error) {
	return func(c Cart) ([]Event, error) {
		if c.items[item]+n > 9 {
			return nil, errFull
		}
		return []Event{Added{item, n}}, nil
	}
}

func say(events ...Event) func(Cart) ([]Event, error) {
	return func(Cart) ([]Event, error) { return events, nil }
}

// recorder is a test that may fail without consequence.
type recorder struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (*recorder) Helper()                  {}
func (*recorder) Context() context.Context { return context.Background() }
func (r *recorder) Cleanup(f func())       { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Error(args ...any)      { r.failures = append(r.failures, fmt.Sprint(args...)) }
func (r *recorder) Errorf(text string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(text, args...))
}

func (r *recorder) Fatalf(text string, args ...any) {
	r.Errorf(text, args...)
	runtime.Goexit()
}

// failures runs a scenario and returns what it reports.
func failures(scenario func(aggregatetest.Scenario[Cart, Event]), d aggregates.Decider[Cart, Event]) string {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		scenario(aggregatetest.For(testing.TB(r), d))
	}()
	<-done
	for _, cleanup := range r.cleanups {
		cleanup()
	}
	return strings.Join(r.failures, "\n")
}

// watched is a codec that looks at what it is given to decode.
type watched struct {
	es.Codec[Event]
	decoded *[]es.RecordedEvent
}

func (c watched) Encode(ctx context.Context, stream es.StreamID, e Event) (es.EventData, error) {
	data, err := c.Codec.Encode(ctx, stream, e)
	data.Schema, data.ContentType, data.Metadata = 0, "text/x-cart", es.Metadata{CorrelationID: "own"}
	return data, err
}

func (c watched) Decode(ctx context.Context, into []Event, r es.RecordedEvent) ([]Event, error) {
	*c.decoded = append(*c.decoded, r)
	return c.Codec.Decode(ctx, into, r)
}

// A codec decodes what a store would give it, and the state is made of what it returns.
func TestEvents_come_back_as_a_store_gives_them(t *testing.T) {
	t.Parallel()
	var decoded []es.RecordedEvent
	d := decider()
	d.Codec = watched{es.JSON[Event](Added{}, Tagged{}), &decoded}
	nils := 0
	d.Evolve = func(c Cart, e Event) Cart {
		if e, ok := e.(Tagged); ok && e.Tags == nil {
			nils++
		}
		return evolve(c, e)
	}
	aggregatetest.For(t, d).Given(Added{"pen", 1}, Tagged{Tags: []string{}}).ThenState(Cart{map[string]int{"pen": 1}})
	if nils != 2 { // folded twice
		t.Errorf("the state was made of the events that were given, not of those that come back: %d", nils)
	}
	for i, r := range decoded {
		if r.Version != es.Version(i+1) || r.Schema != 1 || r.ContentType != "text/x-cart" || r.Metadata.CorrelationID != "own" || r.Stream.Category != "cart" || r.ID == (uuid.UUID{}) {
			t.Errorf("event %d is decoded from %+v", i+1, r)
		}
	}
	if len(decoded) != 2 {
		t.Errorf("%d were decoded", len(decoded))
	}
}

type cart = aggregatetest.Scenario[Cart, Event]

func TestScenarios_that_hold(t *testing.T) {
	t.Parallel()
	full := aggregatetest.For(t, decider()).Given(Added{"pen", 5}, Added{"ink", 1}, Added{"pen", 4})
	full.When(add("pen", 1)).Fails(errFull)
	full.When(add("ink", 1)).Then(Added{"ink", 1}).ThenState(Cart{map[string]int{"pen": 9, "ink": 2}})
	full.When(say()).Then().ThenState(Cart{map[string]int{"pen": 9, "ink": 1}})
	full.ThenState(Cart{map[string]int{"pen": 9, "ink": 1}})
	full.Given(Added{"ink", 8}).When(add("ink", 1)).Fails(errFull)
	full.When(add("ink", 1)).Then(Added{"ink", 1}) // full is as it was
	aggregatetest.For(t, decider()).ThenState(Cart{})
	// Scenarios that begin alike do not write into each other.
	three := aggregatetest.For(t, decider()).Given(Added{"a", 1}).Given(Added{"b", 1}).Given(Added{"c", 1})
	pen, ink := three.Given(Added{"pen", 1}), three.Given(Added{"ink", 1})
	pen.ThenState(Cart{map[string]int{"a": 1, "b": 1, "c": 1, "pen": 1}})
	ink.ThenState(Cart{map[string]int{"a": 1, "b": 1, "c": 1, "ink": 1}})
}

func TestScenarios_that_do_not_hold(t *testing.T) {
	t.Parallel()
	wrapped := fmt.Errorf("wrapped: %w", errFull)
	calls := 0
	counting := decider()
	counting.Evolve = func(Cart, Event) Cart {
		calls++
		return Cart{map[string]int{"calls": calls}}
	}
	for name, c := range map[string]struct {
		decider  aggregates.Decider[Cart, Event]
		scenario func(cart)
		want     []string // parts of what is reported; none: nothing is
	}{
		"holds":                 {decider(), func(s cart) { s.When(add("pen", 1)).Then(Added{"pen", 1}) }, nil},
		"an error that wraps":   {decider(), func(s cart) { s.When(func(Cart) ([]Event, error) { return nil, wrapped }).Fails(errFull) }, nil},
		"another value":         {decider(), func(s cart) { s.When(add("pen", 1)).Then(Added{"pen", 2}) }, []string{"other events were decided", "-", "N:    2", "+", "N:    1"}},
		"another item":          {decider(), func(s cart) { s.When(add("pen", 1)).Then(Added{"ink", 1}) }, []string{`"ink"`, `"pen"`}},
		"an event is missing":   {decider(), func(s cart) { s.When(say()).Then(Added{"pen", 1}) }, []string{"other events", `"pen"`}},
		"an event too many":     {decider(), func(s cart) { s.When(add("pen", 1)).Then() }, []string{"other events", `"pen"`}},
		"another order":         {decider(), func(s cart) { s.When(say(Added{"a", 1}, Added{"b", 1})).Then(Added{"b", 1}, Added{"a", 1}) }, []string{"other events"}},
		"fails unexpectedly":    {decider(), func(s cart) { s.When(add("pen", 10)).Then(Added{"pen", 10}) }, []string{"the decision failed: cart: full"}},
		"fails, state expected": {decider(), func(s cart) { s.When(add("pen", 10)).ThenState(Cart{}) }, []string{"the decision failed: cart: full"}},
		"does not fail":         {decider(), func(s cart) { s.When(add("pen", 1)).Fails(errFull) }, []string{"did not fail", "cart.added {Item:pen N:1}"}},
		"does nothing":          {decider(), func(s cart) { s.When(say()).Fails(errFull) }, []string{"did not fail", "nothing"}},
		"another error":         {decider(), func(s cart) { s.When(add("pen", 10)).Fails(es.ErrConflict) }, []string{"another error", "es: conflict", "cart: full"}},
		"no error named":        {decider(), func(s cart) { s.When(add("pen", 10)).Fails(nil) }, []string{"name the error"}},
		"events beside an error": {decider(), func(s cart) {
			s.When(func(Cart) ([]Event, error) { return []Event{Added{"pen", 1}}, errFull }).Fails(errFull)
		}, []string{"would be lost"}},
		"another state":             {decider(), func(s cart) { s.When(add("pen", 1)).ThenState(Cart{map[string]int{"pen": 2}}) }, []string{"another state", "2", "1"}},
		"another state, given":      {decider(), func(s cart) { s.Given(Added{"pen", 1}).ThenState(Cart{}) }, []string{"another state", `"pen"`}},
		"nothing said":              {decider(), func(s cart) { s.When(add("pen", 1)) }, []string{"proves nothing"}},
		"given forgets":             {decider(), func(s cart) { s.Given(Forgetful{"n"}).When(say()).Then() }, []string{"event 1, cart.forgetful, does not survive", `"n"`}},
		"decided forgets":           {decider(), func(s cart) { s.When(say(Forgetful{"n"})).Then(Forgetful{"n"}) }, []string{"does not survive", `"n"`}},
		"not in the codec":          {decider(), func(s cart) { s.When(say(Unknown{})).Then(Unknown{}) }, []string{"cannot be encoded", "cart.unknown"}},
		"refused by a store":        {decider(), func(s cart) { s.When(say(Huge{strings.Repeat("x", es.MaxData)})).ThenState(Cart{}) }, []string{"refused by a store", "payload of cart.huge"}},
		"given, refused by a store": {decider(), func(s cart) { s.Given(Huge{strings.Repeat("x", es.MaxData)}).ThenState(Cart{}) }, []string{"event 1 would be refused", "payload of cart.huge"}},
		"the fold is not pure":      {counting, func(s cart) { s.Given(Added{"pen", 1}).When(say()).Then() }, []string{"gives two states"}},
		"the fold is not pure later": {func() aggregates.Decider[Cart, Event] {
			later, n := decider(), 0
			later.Evolve = func(c Cart, e Event) Cart {
				if c = evolve(c, e); c.items["pen"] == 2 {
					n++
					c.items["calls"] = n
				}
				return c
			}
			return later
		}(), func(s cart) {
			s.Given(Added{"pen", 1}, Added{"pen", 1}, Added{"pen", 1}).ThenState(Cart{map[string]int{"pen": 3, "calls": 1}})
		}, []string{"gives two states"}},
		"the beginning is not pure": {func() aggregates.Decider[Cart, Event] {
			begins, n := decider(), 0
			begins.Initial = func() Cart {
				n++
				return Cart{map[string]int{"calls": n}}
			}
			return begins
		}(), func(s cart) { s.When(say()).Then() }, []string{"gives two states"}},
		"the fold changes what it was given": {inPlace(), func(s cart) { s.Given(Added{"pen", 1}, Added{"pen", 2}).When(say()).Then() }, []string{"Evolve changed the state", "event 1, cart.added", "copy a map"}},
		"changes it with what was decided":   {inPlace(), func(s cart) { s.When(add("pen", 2)).ThenState(Cart{map[string]int{"pen": 2}}) }, []string{"Evolve changed the state"}},
		"too many for one append": {decider(), func(s cart) {
			s.When(say(slices.Repeat([]Event{Added{"pen", 1}}, es.MaxBatch+1)...)).ThenState(Cart{map[string]int{"pen": es.MaxBatch + 1}})
		}, []string{"the decision would be refused", "1001 events"}},
		"too large for one append": {decider(), func(s cart) {
			large := Huge{strings.Repeat("x", es.MaxData-100)}
			s.When(say(slices.Repeat([]Event{large}, 20)...)).Then(slices.Repeat([]Event{large}, 20)...)
		}, []string{"the decision would be refused", "split it"}},
		"the decision is no fold": {decider(), func(s cart) {
			s.Given(Added{"pen", 1}).When(func(c Cart) ([]Event, error) { c.items["pen"] = 7; return nil, nil }).Then()
		}, []string{"changed the state", "7"}},
	} {
		got := failures(c.scenario, c.decider)
		if (got == "") != (len(c.want) == 0) {
			t.Errorf("%s: reported %q", name, got)
		}
		for _, part := range c.want {
			if !strings.Contains(got, part) {
				t.Errorf("%s: reported without %q:\n%s", name, part, got)
			}
		}
	}
}
