package aggregates_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/memstore"
)

// splitAccounts reads account.moved as a withdrawal and a deposit, and account.seen as nothing.
func splitAccounts() (*memstore.Store, *aggregates.Repository[Account, Event]) {
	type moved struct{ Out, In int64 }
	d := decider
	d.Codec = es.Upcast(d.Codec,
		es.SplitJSON("account.moved", 1, func(old moved) ([]es.Event, error) {
			if old.In == 666 {
				return nil, errors.New("balked")
			}
			return []es.Event{Withdrawn{old.Out}, Deposited{old.In}}, nil
		}),
		es.SplitJSON("account.seen", 1, func(struct{}) ([]es.Event, error) { return nil, nil }))
	store := memstore.New()
	return store, aggregates.New[Account, Event](store, d)
}

func appendOld(t *testing.T, store es.Store, eventType, data string) {
	t.Helper()
	_, err := store.Append(t.Context(), es.StreamID{Category: decider.Category, ID: "a-1"}, es.Any, es.EventData{ID: es.NewID(), Type: eventType, Data: []byte(data)})
	must(t, err)
}

// An event that is split leads to the state after all of its parts; one that nobody reads any
// more has a version all the same, so that decisions after it are no conflict.
func TestSplit_events_lead_to_one_state(t *testing.T) {
	t.Parallel()
	store, accounts := splitAccounts()
	_, err := accounts.Decide(t.Context(), "a-1", func(Account) ([]Event, error) { return []Event{Opened{"ann"}, Deposited{10}}, nil })
	must(t, err)
	appendOld(t, store, "account.moved", `{"Out":4,"In":9}`)
	appendOld(t, store, "account.seen", `{}`)
	state, err := accounts.Load(t.Context(), "a-1")
	if err != nil || state.Value.Balance != 15 || state.Version != 4 || state.Position != 4 {
		t.Fatalf("%+v, %v", state, err)
	}
	state, err = accounts.LoadAsOf(t.Context(), "a-1", es.AtVersion(3))
	if err != nil || state.Value.Balance != 15 || state.Version != 3 {
		t.Errorf("as of: %+v, %v", state, err)
	}
	state, err = accounts.LoadAsOf(t.Context(), "a-1", es.AtVersion(4))
	if err != nil || state.Version != 4 {
		t.Errorf("as of what nobody reads: %+v, %v", state, err)
	}
	state, err = accounts.Decide(t.Context(), "a-1", func(a Account) ([]Event, error) { return []Event{Withdrawn{a.Balance}}, nil })
	if err != nil || state.Value.Balance != 0 || state.Version != 5 {
		t.Errorf("decided: %+v, %v", state, err)
	}
	var steps []string
	for step, err := range accounts.History(t.Context(), "a-1") {
		must(t, err)
		r := step.Recorded
		steps = append(steps, fmt.Sprintf("%d.%d/%d %T %d@%d", r.Version, r.Part, r.Parts, step.Event, step.State.Value.Balance, step.State.Version))
		if len(steps) == 5 {
			break // in the middle of the steps
		}
	}
	want := []string{"1.0/0 aggregates_test.Opened 0@1", "2.0/0 aggregates_test.Deposited 10@2", "3.1/2 aggregates_test.Withdrawn 6@3", "3.2/2 aggregates_test.Deposited 15@3", "5.0/0 aggregates_test.Withdrawn 0@5"}
	if !slices.Equal(steps, want) {
		t.Errorf("%q", steps)
	}
	appendOld(t, store, "account.moved", `{"Out":4,"In":666}`)
	if _, err := accounts.Load(t.Context(), "a-1"); !errors.Is(err, es.ErrUndecodable) {
		t.Error(err)
	}
}
