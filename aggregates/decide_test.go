package aggregates_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/memstore"
)

func TestDecide_returns_the_state_after_it(t *testing.T) {
	t.Parallel()
	_, accounts := newAccounts()
	_, err := accounts.Decide(t.Context(), "a-1", open("ann"))
	must(t, err)
	decided, err := accounts.Decide(t.Context(), "a-1", deposit(1, 2, 3))
	must(t, err)
	loaded, err := accounts.Load(t.Context(), "a-1")
	must(t, err)
	if d := cmp.Diff(loaded, decided); d != "" || decided.Value.Balance != 6 || decided.Version != 4 {
		t.Errorf("Decide returned %+v, Load %+v", decided, loaded)
	}
	same, err := accounts.Decide(t.Context(), "a-1", open("bob")) // nothing to do
	if d := cmp.Diff(loaded, same); d != "" || err != nil {
		t.Errorf("a decision without events: %v\n%s", err, d)
	}
}

func TestDecide_returns_the_decisions_error_as_it_is(t *testing.T) {
	t.Parallel()
	store, accounts := newAccounts()
	_, err := accounts.Decide(t.Context(), "a-1", deposit(1))
	if !errors.Is(err, errNotOpen) || err.Error() != errNotOpen.Error() {
		t.Errorf("got %v, want the decision's own error", err)
	}
	if head, err := store.Settle(t.Context(), epoch); head != 0 || err != nil {
		t.Errorf("a decision that failed has appended: %d, %v", head, err)
	}
	// An error that happens to match is the decision's own too: it is not tried again.
	tries := 0
	_, err = accounts.Decide(t.Context(), "a-1", func(Account) ([]Event, error) {
		tries++
		return nil, es.ErrConflict
	})
	if tries != 1 || !errors.Is(err, es.ErrConflict) || err.Error() != es.ErrConflict.Error() {
		t.Errorf("%d tries and %v", tries, err)
	}
}

func TestDecide_refuses_events_that_could_not_be_read_back(t *testing.T) {
	t.Parallel()
	forgetful := decider
	forgetful.Codec = es.JSON[Event](Opened{})
	accounts := aggregates.New(memstore.New(), forgetful)
	_, err := accounts.Decide(t.Context(), "a-1", func(Account) ([]Event, error) { return []Event{Opened{"ann"}, Deposited{1}}, nil })
	if !errors.Is(err, es.ErrUnknownType) || !strings.Contains(err.Error(), "account.deposited") {
		t.Errorf("got %v, want ErrUnknownType that names the type", err)
	}
	if _, err := accounts.Load(t.Context(), "a-1"); !errors.Is(err, es.ErrStreamNotFound) {
		t.Errorf("a part of the decision was recorded: %v", err)
	}
}

func TestDecide_decides_again_after_a_conflict(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	given(t, store, "a-1", Opened{"ann"}, Deposited{10})
	rival := &interposed{Store: store}
	rival.before = func(attempt int) error {
		if attempt <= 2 { // twice another is quicker
			given(t, store, "a-1", Withdrawn{4})
		}
		return nil
	}
	var seen []int64
	_, err := aggregates.New(rival, decider).Decide(t.Context(), "a-1", func(a Account) ([]Event, error) {
		seen = append(seen, a.Balance)
		return withdraw(4)(a)
	})
	if !errors.Is(err, errInsufficientFunds) || !cmp.Equal(seen, []int64{10, 6, 2}) {
		t.Errorf("decided on balances %v: %v", seen, err)
	}
}

func TestDecide_gives_up(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	given(t, store, "a-1", Opened{"ann"})
	rival := &interposed{Store: store, before: func(int) error { given(t, store, "a-1", Deposited{1}); return nil }}
	_, err := aggregates.New(rival, decider, aggregates.WithAttempts(3)).Decide(t.Context(), "a-1", deposit(1))
	var conflict *es.ConflictError
	if !errors.As(err, &conflict) || conflict.Got != 4 || rival.tries != 3 || !strings.Contains(err.Error(), "3 attempts") {
		t.Errorf("after %d tries: %v", rival.tries, err)
	}
	rival.tries = 0
	if _, err := aggregates.New(rival, decider).InTx(rival).Decide(t.Context(), "a-1", deposit(1)); !errors.Is(err, es.ErrConflict) || rival.tries != 1 {
		t.Errorf("in a transaction, after %d tries: %v: want the conflict at once", rival.tries, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	rival.tries, rival.before = 0, func(int) error { cancel(); return es.ErrRetry }
	if _, err := aggregates.New(rival, decider).Decide(ctx, "a-1", deposit(1)); !errors.Is(err, context.Canceled) || !errors.Is(err, es.ErrRetry) || rival.tries != 1 {
		t.Errorf("a cancelled decision, after %d tries: %v", rival.tries, err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	rival.tries, rival.before = 0, func(attempt int) error {
		if attempt == 2 {
			cancel()
		}
		return es.ErrRetry
	}
	if _, err := aggregates.New(rival, decider).Decide(ctx, "a-1", deposit(1)); !errors.Is(err, context.Canceled) || !errors.Is(err, es.ErrRetry) || rival.tries != 2 {
		t.Errorf("cancelled in a pause, after %d tries: %v", rival.tries, err)
	}
}

// Other errors are not tried again: it is not known whether the events were recorded.
func TestDecide_tries_again_only_what_is_safe(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	for _, c := range []struct {
		err   error
		tries int
	}{{es.ErrRetry, 2}, {es.ErrConflict, 2}, {lost, 1}, {es.ErrDuplicateID, 1}} {
		store := &interposed{Store: memstore.New()}
		store.before = func(attempt int) error {
			if attempt == 1 {
				return c.err
			}
			return nil
		}
		_, err := aggregates.New(store, decider).Decide(t.Context(), "a-1", open("ann"))
		if store.tries != c.tries || c.tries == 1 && !errors.Is(err, c.err) || c.tries > 1 && err != nil {
			t.Errorf("after %v: %d tries and %v", c.err, store.tries, err)
		}
	}
}

// Of many who decide at once each is decided on what the others left.
func TestDecide_is_decided_on_what_the_others_left(t *testing.T) {
	t.Parallel()
	_, accounts := newAccounts()
	_, err := accounts.Decide(t.Context(), "a-1", open("ann"))
	must(t, err)
	_, err = accounts.Decide(t.Context(), "a-1", deposit(100))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // a turn that is never given back fails, and does not hang
	defer cancel()
	var withdrawn, refused atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 5 {
				switch _, err := accounts.Decide(ctx, "a-1", withdraw(1)); {
				case err == nil:
					withdrawn.Add(1)
				case errors.Is(err, errInsufficientFunds):
					refused.Add(1)
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	state, err := accounts.Load(t.Context(), "a-1")
	must(t, err)
	if withdrawn.Load() != 100 || refused.Load() != 60 || state.Value.Balance != 0 || state.Version != 102 {
		t.Errorf("%d withdrawn, %d refused, %+v: of 100 cents just 100 can be had", withdrawn.Load(), refused.Load(), state)
	}
}

func TestDecide_records_metadata(t *testing.T) {
	t.Parallel()
	store, accounts := newAccounts()
	want := es.Metadata{CorrelationID: "request-1", CausationID: "command-2", Extra: map[string]string{"user": "ann"}}
	_, err := accounts.Decide(es.WithMetadata(t.Context(), want), "a-1", func(Account) ([]Event, error) { return []Event{Opened{"ann"}, Deposited{1}}, nil })
	must(t, err)
	for e, err := range store.ReadStream(t.Context(), stream("a-1"), 1) {
		must(t, err)
		if d := cmp.Diff(want, e.Metadata); d != "" {
			t.Errorf("%s (-want +got):\n%s", e.Type, d)
		}
	}
}

// owned is a codec whose events bring metadata of their own.
type owned struct {
	es.Codec[Event]
	metadata es.Metadata
}

func (c owned) Encode(ctx context.Context, stream es.StreamID, e Event) (es.EventData, error) {
	data, err := c.Codec.Encode(ctx, stream, e)
	data.Metadata = c.metadata
	return data, err
}

// What an event says of itself is not overwritten by what the context says of all.
func TestDecide_keeps_the_metadata_of_an_event_before_the_contexts(t *testing.T) {
	t.Parallel()
	own := decider
	own.Codec = owned{codec, es.Metadata{CorrelationID: "own", TraceParent: "own", Extra: map[string]string{"user": "own"}}}
	store := memstore.New()
	ctx := es.WithMetadata(t.Context(), es.Metadata{
		CorrelationID: "context", CausationID: "context", TraceParent: "context", TraceState: "context",
		Extra: map[string]string{"user": "context", "tenant": "context"},
	})
	_, err := aggregates.New(store, own).Decide(ctx, "a-1", open("ann"))
	must(t, err)
	want := es.Metadata{
		CorrelationID: "own", CausationID: "context", TraceParent: "own", // the state of another's trace is not its own
		Extra: map[string]string{"user": "own", "tenant": "context"},
	}
	for e, err := range store.ReadStream(t.Context(), stream("a-1"), 1) {
		must(t, err)
		if d := cmp.Diff(want, e.Metadata); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}

// Who waits for a turn at an aggregate can be told to stop, and others go on.
func TestDecide_cancelled_while_it_waits(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	given(t, store, "a-1", Opened{"ann"})
	rival := &interposed{Store: store, before: func(attempt int) error {
		if attempt <= 2 {
			return es.ErrConflict
		}
		return nil
	}}
	accounts := aggregates.New(rival, decider)
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	state, err := accounts.Decide(t.Context(), "a-1", func(Account) ([]Event, error) {
		if tries++; tries == 2 { // has the turn: another, which meets a conflict too, must wait
			answer := make(chan error)
			go func() {
				_, err := accounts.Decide(ctx, "a-1", deposit(1))
				answer <- err
			}()
			cancel()
			if err := <-answer; !errors.Is(err, context.Canceled) {
				t.Errorf("who waits for a turn: got %v, want context.Canceled", err)
			}
		}
		return []Event{Deposited{1}}, nil
	})
	if err != nil || state.Version != 2 || state.Value.Balance != 1 {
		t.Errorf("who had the turn: got %+v, %v", state, err)
	}
}
