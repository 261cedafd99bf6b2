package aggregates_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/memstore"
)

func newAccounts(options ...aggregates.Option) (*memstore.Store, *aggregates.Repository[Account, Event]) {
	store := memstore.New()
	return store, aggregates.New(store, decider, options...)
}

func stream(id string) es.StreamID { return es.StreamID{Category: "account", ID: id} }

// given appends events as they are, without a decision.
func given(t *testing.T, store es.Store, id string, events ...Event) []es.RecordedEvent {
	t.Helper()
	data := make([]es.EventData, len(events))
	for i, event := range events {
		var err error
		data[i], err = codec.Encode(t.Context(), es.StreamID{}, event)
		must(t, err)
	}
	recorded, err := store.Append(t.Context(), stream(id), es.Any, data...)
	must(t, err)
	return recorded
}

func TestLoad_folds_the_whole_stream(t *testing.T) {
	t.Parallel()
	store, accounts := newAccounts()
	given(t, store, "other", Opened{"bob"}, Deposited{1})
	recorded := given(t, store, "a-1", Opened{"ann"}, Deposited{10}, Withdrawn{3})
	got, err := accounts.Load(t.Context(), "a-1")
	must(t, err)
	last := recorded[2]
	want := aggregates.State[Account]{
		ID: "a-1", Value: Account{Open: true, Balance: 7},
		Version: 3, Position: last.Position, RecordedAt: last.RecordedAt,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestLoad_without_events(t *testing.T) {
	t.Parallel()
	_, accounts := newAccounts()
	_, err := accounts.Load(t.Context(), "none")
	if !errors.Is(err, es.ErrStreamNotFound) || !strings.Contains(err.Error(), "account/none") {
		t.Errorf("got %v, want ErrStreamNotFound that names the stream", err)
	}
	if _, err := accounts.Load(t.Context(), ""); !errors.Is(err, es.ErrInvalid) {
		t.Errorf("an empty id: got %v", err)
	}
	for _, err := range accounts.History(t.Context(), "none") {
		if !errors.Is(err, es.ErrStreamNotFound) {
			t.Errorf("history: got %v", err)
		}
	}
}

// The state is that of the whole stream or none.
func TestEvents_that_cannot_be_read_fail_the_call(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		event es.EventData
		want  error
		named string
	}{
		"unknown type":          {es.EventData{ID: es.NewID(), Type: "account.closed", Data: []byte(`{}`)}, es.ErrUnknownType, `"account.closed" of account/a-1 version 2`},
		"a newer schema":        {es.EventData{ID: es.NewID(), Type: "account.deposited", Schema: 2, Data: []byte(`{"Cents": 10}`)}, es.ErrNewerSchema, `account.deposited of account/a-1 version 2 has schema 2`},
		"payload of a new kind": {es.EventData{ID: es.NewID(), Type: "account.deposited", Data: []byte(`{"Cents": "ten"}`)}, es.ErrUndecodable, `account.deposited of account/a-1 version 2`},
	} {
		store, accounts := newAccounts()
		first := given(t, store, "a-1", Opened{"ann"})
		_, err := store.Append(t.Context(), stream("a-1"), es.Any, c.event)
		must(t, err)
		given(t, store, "a-1", Deposited{10})

		check := func(call string, state aggregates.State[Account], err error) {
			t.Helper()
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.named) || !strings.HasPrefix(err.Error(), "aggregates: ") {
				t.Errorf("%s, %s: got %v, want %v that names %s", what, call, err, c.want, c.named)
			}
			if state != (aggregates.State[Account]{}) {
				t.Errorf("%s, %s: got a part of the state too: %+v", what, call, state)
			}
		}
		state, err := accounts.Load(t.Context(), "a-1")
		check("Load", state, err)
		state, err = accounts.LoadAsOf(t.Context(), "a-1", es.AtVersion(3))
		check("LoadAsOf", state, err)
		state, err = accounts.Decide(t.Context(), "a-1", func(Account) ([]Event, error) {
			t.Errorf("%s: decided on a part of the state", what)
			return nil, nil
		})
		check("Decide", state, err)

		// What was before it can still be seen.
		past, err := accounts.LoadAsOf(t.Context(), "a-1", es.AtPosition(first[0].Position))
		if err != nil || past.Version != 1 {
			t.Errorf("%s: as of version 1: %+v, %v", what, past, err)
		}
	}
}

func TestHistory_has_the_state_after_each_event(t *testing.T) {
	t.Parallel()
	store, accounts := newAccounts()
	recorded := given(t, store, "a-1", Opened{"ann"}, Deposited{10}, Withdrawn{3})
	n := 0
	for step, err := range accounts.History(t.Context(), "a-1") {
		must(t, err)
		then, err := accounts.LoadAsOf(t.Context(), "a-1", es.AtVersion(step.Recorded.Version))
		must(t, err)
		if d := cmp.Diff(then, step.State); d != "" || !cmp.Equal(recorded[n].Recorded, step.Recorded) {
			t.Errorf("step %d: %+v is not the state as of its version:\n%s", n+1, step, d)
		}
		n++
	}
	for _, err := range accounts.History(t.Context(), "a-1") {
		must(t, err)
		n++
		break
	}
	if n != 4 {
		t.Errorf("the loops saw %d steps, want 4", n)
	}
}

func TestInitial_state_is_where_the_fold_begins(t *testing.T) {
	t.Parallel()
	d := decider
	d.Initial = func() Account { return Account{Balance: 100} }
	accounts := aggregates.New(memstore.New(), d)
	_, err := accounts.Decide(t.Context(), "a-1", withdraw(100))
	must(t, err)
	got, err := accounts.Load(t.Context(), "a-1")
	if err != nil || got.Value.Balance != 0 || got.Version != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestMistakes_in_the_program_are_refused_by_every_call(t *testing.T) {
	t.Parallel()
	good := decider
	for what, c := range map[string]struct {
		store   es.Store
		decider aggregates.Decider[Account, Event]
		options []aggregates.Option
		says    string
	}{
		"no codec":     {memstore.New(), aggregates.Decider[Account, Event]{Category: "account", Evolve: evolve}, nil, "set Evolve and Codec"},
		"no evolve":    {memstore.New(), aggregates.Decider[Account, Event]{Category: "account", Codec: codec}, nil, "set Evolve and Codec"},
		"bad category": {memstore.New(), aggregates.Decider[Account, Event]{Category: "a/b", Evolve: evolve, Codec: codec}, nil, `"a/b"`},
		"no store":     {nil, good, nil, "without a store"},
		"no attempt":   {memstore.New(), good, []aggregates.Option{aggregates.WithAttempts(0)}, "WithAttempts(0): give 1 or more"},
		"fewer":        {memstore.New(), good, []aggregates.Option{aggregates.WithAttempts(-1)}, "WithAttempts(-1)"},
	} {
		accounts := aggregates.New(c.store, c.decider, c.options...)
		_, load := accounts.Load(t.Context(), "a-1")
		_, past := accounts.LoadAsOf(t.Context(), "a-1", es.AtVersion(1))
		_, decide := accounts.Decide(t.Context(), "a-1", withdraw(1))
		_, inside := accounts.InTx(memstore.New()).Load(t.Context(), "a-1")
		errs := map[string]error{"Load": load, "LoadAsOf": past, "Decide": decide, "Load in a transaction": inside}
		for _, err := range accounts.History(t.Context(), "a-1") {
			errs["History"] = err
		}
		if len(errs) != 5 {
			t.Errorf("%s: History yields nothing", what)
		}
		for call, err := range errs {
			if !errors.Is(err, es.ErrInvalid) || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "aggregates: ") {
				t.Errorf("%s: %s gives %v, want an ErrInvalid that says %q", what, call, err, c.says)
			}
		}
	}
}

// interposed is a store that lets a test act between the load and the append.
type interposed struct {
	es.Store
	before func(attempt int) error
	on     func(es.StreamID) error
	tries  int
}

func (s *interposed) Append(ctx context.Context, id es.StreamID, want es.Expected, events ...es.EventData) ([]es.RecordedEvent, error) {
	s.tries++
	if s.before != nil {
		if err := s.before(s.tries); err != nil {
			return nil, err
		}
	}
	if s.on != nil {
		if err := s.on(id); err != nil {
			return nil, err
		}
	}
	return s.Store.Append(ctx, id, want, events...)
}
