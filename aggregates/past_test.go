package aggregates_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/memstore"
)

// reading counts what is read of a store's streams.
type reading struct {
	es.Store
	events int
	from   []es.Version
}

func (s *reading) ReadStream(ctx context.Context, id es.StreamID, from es.Version) iter.Seq2[es.RecordedEvent, error] {
	s.from = append(s.from, from)
	return func(yield func(es.RecordedEvent, error) bool) {
		for e, err := range s.Store.ReadStream(ctx, id, from) {
			if err == nil {
				s.events++
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Ledger is a state with references: what was deposited, by cents, and in order.
type Ledger struct {
	By  map[int64]int
	All []int64
}

var ledgers = aggregates.Decider[Ledger, Event]{
	Category: "account", Codec: codec,
	Initial: func() Ledger { return Ledger{By: map[int64]int{}} },
	Evolve: func(l Ledger, e Event) Ledger {
		if e, ok := e.(Deposited); ok {
			l.By, l.All = maps.Clone(l.By), append(slices.Clone(l.All), e.Cents)
			l.By[e.Cents]++
		}
		return l
	},
}

// After a conflict a decision goes on from where it stands, whatever its state is made
// of.
func TestDecide_reads_each_event_once(t *testing.T) {
	t.Parallel()
	const before, rivals = 50, 4
	check := func(what string, decide func(es.Store) (es.Version, error)) {
		t.Helper()
		store := memstore.New()
		given(t, store, "a-1", Opened{"ann"})
		for range before - 1 {
			given(t, store, "a-1", Deposited{1})
		}
		read := &reading{Store: store}
		version, err := decide(&interposed{Store: read, before: func(attempt int) error {
			if attempt <= rivals {
				given(t, store, "a-1", Deposited{1})
			}
			return nil
		}})
		if err != nil || version != before+rivals+1 {
			t.Errorf("%s: version %d, %v", what, version, err)
		}
		if want := []es.Version{1, 51, 52, 53, 54}; read.events != before+rivals || !cmp.Equal(read.from, want) {
			t.Errorf("%s: %d events were read, from versions %v, want %d from %v", what, read.events, read.from, before+rivals, want)
		}
	}
	check("a state of values", func(store es.Store) (es.Version, error) {
		state, err := aggregates.New(store, decider).Decide(t.Context(), "a-1", deposit(1))
		return state.Version, err
	})
	check("a state with references", func(store es.Store) (es.Version, error) {
		state, err := aggregates.New(store, ledgers).Decide(t.Context(), "a-1", func(l Ledger) ([]Event, error) {
			if state := len(l.All); state < before-1 || l.By[1] != state {
				t.Errorf("decided on %d deposits, %d of them of a cent", state, l.By[1])
			}
			return []Event{Deposited{1}}, nil
		})
		return state.Version, err
	})
}

// A decision that changes what it looks at must not spoil what it sees next time:
// nothing wrong is recorded, whatever the length of the stream.
func TestDecision_that_changes_the_state_sees_it_whole_next_time(t *testing.T) {
	t.Parallel()
	for what, owner := range map[string]string{"short": "ann", "too long to be kept": strings.Repeat("x", 600<<10)} {
		store := memstore.New()
		given(t, store, "a-1", Opened{owner}, Deposited{3})
		given(t, store, "a-1", Opened{owner}, Deposited{1}, Deposited{2})
		read := &reading{Store: store}
		rival := &interposed{Store: read, before: func(attempt int) error {
			if attempt <= 3 {
				given(t, store, "a-1", Deposited{4})
			}
			return nil
		}}
		var seen [][]int64
		_, err := aggregates.New(rival, ledgers).Decide(t.Context(), "a-1", func(l Ledger) ([]Event, error) {
			seen = append(seen, slices.Clone(l.All))
			if len(l.By) != 3+min(len(seen)-1, 1) {
				t.Errorf("%s: attempt %d sees %v", what, len(seen), l.By)
			}
			clear(l.By)
			slices.Sort(l.All)
			return []Event{Deposited{5}}, nil
		})
		want := [][]int64{{3, 1, 2}, {3, 1, 2, 4}, {3, 1, 2, 4, 4}, {3, 1, 2, 4, 4, 4}}
		if err != nil || !cmp.Equal(seen, want) {
			t.Errorf("%s: decided on %v, want %v; %v", what, seen, want, err)
		}
		if long := len(owner) > 3; read.from[1] == 1 || (read.from[1] == 6) == long {
			t.Errorf("%s: read from versions %v", what, read.from)
		}
	}
}

// An aggregate that another has begun meanwhile is decided on from its beginning.
func TestDecide_on_an_aggregate_that_is_begun_meanwhile(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	rival := &interposed{Store: store, before: func(attempt int) error {
		if attempt == 1 {
			given(t, store, "a-1", Opened{"bob"}, Deposited{7})
		}
		return nil
	}}
	var seen []Account
	state, err := aggregates.New(rival, decider).Decide(t.Context(), "a-1", func(a Account) ([]Event, error) {
		seen = append(seen, a)
		return []Event{Deposited{1}}, nil
	})
	if want := []Account{{}, {Open: true, Balance: 7}}; err != nil || !cmp.Equal(seen, want) || state.Version != 3 {
		t.Errorf("decided on %+v, want %+v; %+v, %v", seen, want, state, err)
	}
}

// A conflict that no event explains is one still: the decision goes on with what it
// has, and ends after its attempts.
func TestDecide_after_a_conflict_without_an_event(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	given(t, store, "a-1", Opened{"ann"}, Deposited{7})
	rival := &interposed{Store: store, before: func(int) error { return es.ErrRetry }}
	tries := 0
	_, err := aggregates.New(rival, decider, aggregates.WithAttempts(3)).Decide(t.Context(), "a-1", func(a Account) ([]Event, error) {
		if tries++; a.Balance != 7 {
			t.Errorf("attempt %d sees %+v", tries, a)
		}
		return []Event{Deposited{1}}, nil
	})
	if !errors.Is(err, es.ErrRetry) || tries != 3 {
		t.Errorf("%d attempts: %v", tries, err)
	}
}
