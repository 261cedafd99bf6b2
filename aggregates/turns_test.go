package aggregates_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/memstore"
)

// Whatever ends a decision that has the turn at its aggregate, the next one gets it.
func TestTurn_is_given_back_however_the_decision_ends(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	for what, end := range map[string]struct {
		append func(cancel func()) error                     // what the second append meets
		decide func(attempt int) (events []Event, err error) // instead of a deposit
		panics bool
	}{
		"recorded":       {append: func(func()) error { return nil }},
		"another error":  {append: func(func()) error { return lost }},
		"no more tries":  {append: func(func()) error { return es.ErrConflict }},
		"cancelled":      {append: func(cancel func()) error { cancel(); return es.ErrConflict }},
		"refused":        {decide: func(int) ([]Event, error) { return nil, errInsufficientFunds }},
		"nothing to do":  {decide: func(int) ([]Event, error) { return nil, nil }},
		"not in codec":   {decide: func(int) ([]Event, error) { return []Event{nil}, nil }, panics: true},
		"panics at last": {decide: func(int) ([]Event, error) { panic("at the worst time") }, panics: true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			store := memstore.New()
			given(t, store, "a-1", Opened{"ann"})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			rival := &interposed{Store: store, before: func(attempt int) error {
				if attempt == 1 { // so that the turn is taken
					return es.ErrConflict
				}
				return end.append(cancel)
			}}
			accounts := aggregates.New(rival, decider, aggregates.WithAttempts(2))
			attempt := 0
			func() {
				defer func() {
					if (recover() != nil) != end.panics {
						t.Error("it panicked, or did not")
					}
				}()
				_, _ = accounts.Decide(ctx, "a-1", func(Account) ([]Event, error) {
					if attempt++; attempt == 2 && end.decide != nil {
						return end.decide(attempt)
					}
					return []Event{Deposited{1}}, nil
				})
			}()
			if attempt != 2 {
				t.Fatalf("%d attempts: the turn was not taken, so nothing is proved", attempt)
			}
			rival.tries, end.append = 0, func(func()) error { return nil }
			short, stop := context.WithTimeout(t.Context(), 10*time.Second)
			defer stop()
			if _, err := accounts.Decide(short, "a-1", deposit(1)); err != nil {
				t.Errorf("the next decision does not get its turn: %v", err)
			}
		})
	}
}

// A turn is of one aggregate: who waits at one holds nobody up at another.
func TestTurns_are_apart(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	given(t, store, "a-1", Opened{"ann"})
	given(t, store, "b-2", Opened{"bob"})
	conflicts := map[string]int{}
	rival := &interposed{Store: store}
	accounts := aggregates.New(rival, decider)
	rival.on = func(id es.StreamID) error {
		if conflicts[id.ID]++; conflicts[id.ID] == 1 {
			return es.ErrConflict
		}
		return nil
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	tries := 0
	_, err := accounts.Decide(ctx, "a-1", func(Account) ([]Event, error) {
		if tries++; tries == 2 { // has the turn at a-1
			if _, err := accounts.Decide(ctx, "b-2", deposit(1)); err != nil {
				t.Errorf("another aggregate: %v", err)
			}
		}
		return []Event{Deposited{1}}, nil
	})
	if err != nil || conflicts["b-2"] != 2 {
		t.Errorf("%v, %v", conflicts, err)
	}
}

// Those who met a conflict go on one after the other: who waits for the turn does not
// decide meanwhile, which would be for nothing.
func TestDecisions_after_a_conflict_wait_for_each_other(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		given(t, store, "a-1", Opened{"ann"})
		rival := &interposed{Store: store, before: func(attempt int) error {
			if attempt <= 2 { // the first of each
				return es.ErrConflict
			}
			return nil
		}}
		accounts := aggregates.New(rival, decider)
		var others, tries int
		answer := make(chan error, 1)
		_, err := accounts.Decide(t.Context(), "a-1", func(Account) ([]Event, error) {
			if tries++; tries == 2 { // has the turn
				go func() {
					_, err := accounts.Decide(t.Context(), "a-1", func(Account) ([]Event, error) {
						others++
						return []Event{Deposited{1}}, nil
					})
					answer <- err
				}()
				<-time.After(time.Minute)
				synctest.Wait()
				if others != 1 {
					t.Errorf("who waits for the turn has decided %d times", others)
				}
			}
			return []Event{Deposited{1}}, nil
		})
		if other := <-answer; err != nil || other != nil || others != 2 {
			t.Errorf("%v, %v, decided %d times", err, other, others)
		}
	})
}
