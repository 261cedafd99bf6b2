package aggregates //nolint:testpackage // what is kept in fields is seen by the fields alone

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/memstore"
)

type happened struct{}

func (happened) EventType() string { return "it.happened" }

// Who adds a field to Repository sets it here, and InTx keeps it, or says why not.
func TestInTx_keeps_every_field_but_two(t *testing.T) {
	t.Parallel()
	outside := New[int, happened](memstore.New(), Decider[int, happened]{
		Category: "it", Evolve: func(n int, _ happened) int { return n + 1 }, Codec: es.JSON[happened](happened{}),
	}, WithAttempts(7))
	outside.invalid = es.ErrInvalid
	tx := memstore.New()
	inside := outside.InTx(tx)
	if inside.store != es.Store(tx) || inside.options.attempts != 1 {
		t.Errorf("in a transaction the store is %p and a decision is tried %d times", inside.store, inside.options.attempts)
	}
	if outside.store == es.Store(tx) || outside.options.attempts != 7 {
		t.Errorf("outside the store is %p and a decision is tried %d times", outside.store, outside.options.attempts)
	}
	want := *outside
	want.store, want.options.attempts = tx, 1
	was, is := reflect.ValueOf(want), reflect.ValueOf(*inside)
	for i := range was.NumField() {
		name := was.Type().Field(i).Name
		if was.Field(i).IsZero() {
			t.Errorf("%s is not set, so that nothing is said about it", name)
		}
		if name == "decider" { // functions do not compare
			if inside.decider.Category != outside.decider.Category || inside.decider.Evolve == nil || inside.decider.Codec == nil {
				t.Errorf("decider: %+v", inside.decider)
			}
			continue
		}
		if !was.Field(i).Equal(is.Field(i)) {
			t.Errorf("%s was lost: %v, outside %v", name, is.Field(i), was.Field(i))
		}
	}
}

// Who uses a turn leaves nothing behind: aggregates are many.
func TestTurns_are_forgotten_when_nobody_uses_them(t *testing.T) {
	t.Parallel()
	var turns turns
	first, err := turns.take(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() {
		_, err := turns.take(ended, "a")
		waiting <- err
	}()
	for ctx := within(t); turns.users("a") < 2 && ctx.Err() == nil; {
		runtime.Gosched()
	}
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("who waited and was cancelled: %v", err)
	}
	if _, err := turns.take(ended, "b"); !errors.Is(err, context.Canceled) {
		t.Errorf("who was cancelled before: %v", err)
	}
	if n := turns.users("a"); n != 1 {
		t.Errorf("%d users of a turn that one has", n)
	}
	first()
	if len(turns.of) != 0 {
		t.Errorf("%v is left", turns.of)
	}
}

// A turn is had by one, however they come and go.
func TestTurn_is_had_by_one(t *testing.T) {
	t.Parallel()
	var turns turns
	var having atomic.Int64
	var wg sync.WaitGroup
	ctx := within(t)
	for range 8 {
		wg.Go(func() {
			for range 500 {
				giveBack, err := turns.take(ctx, "a")
				if err != nil {
					t.Error(err)
					return
				}
				if n := having.Add(1); n != 1 {
					t.Errorf("%d have the turn", n)
				}
				runtime.Gosched()
				having.Add(-1)
				giveBack()
			}
		})
	}
	wg.Wait()
	if len(turns.of) != 0 {
		t.Errorf("%v is left", turns.of)
	}
}

func (t *turns) users(id string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q := t.of[id]; q != nil {
		return q.users
	}
	return 0
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// A copy of a value shares nothing with it: else a decision could change what the next
// attempt sees.
func TestStates_of_values_alone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state  reflect.Type
		values bool
	}{
		{reflect.TypeFor[struct {
			Open bool
			Name string
			N    [3]int64
			At   time.Time
			ID   uuid.UUID
			F    struct{ x float64 }
		}](), true},
		{reflect.TypeFor[struct{}](), true},
		{reflect.TypeFor[map[string]int](), false},
		{reflect.TypeFor[struct{ m map[string]int }](), false},
		{reflect.TypeFor[[]int](), false},
		{reflect.TypeFor[*int](), false},
		{reflect.TypeFor[any](), false},
		{reflect.TypeFor[error](), false},
		{reflect.TypeFor[func()](), false},
		{reflect.TypeFor[chan int](), false},
		{reflect.TypeFor[[2][]int](), false},
		{reflect.TypeFor[struct{ F struct{ p *int } }](), false},
		{reflect.TypeFor[State[*int]](), false},
	} {
		if got := ofValues(c.state); got != c.values {
			t.Errorf("%s is of values alone: %t", c.state, got)
		}
	}
}

// What is kept of a stream is its beginning, without a hole, and bounded.
func TestKept_events_are_bounded(t *testing.T) {
	t.Parallel()
	var p past[int, happened]
	for n, bytes := range []int{100, keepBytes / 2, keepBytes, 10} { // the last would fit, but is not what comes next
		p.keep(es.RecordedEvent{Recorded: es.Recorded{Version: es.Version(n + 1)}, Data: make([]byte, bytes)})
	}
	if len(p.kept) != 2 || p.kept[1].Version != 2 {
		t.Errorf("%d are kept", len(p.kept))
	}
}
