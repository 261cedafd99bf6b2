package aggregates_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/memstore"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

var epoch = time.Time{}

func TestLoadAsOf_by_version_position_and_time(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // a clock that stands still between the hours
		store, accounts := newAccounts()
		var hours []time.Time
		for _, event := range []Event{Opened{"ann"}, Deposited{10}, Withdrawn{3}} {
			given(t, store, "other", Deposited{1})
			hours = append(hours, given(t, store, "a-1", event)[0].RecordedAt)
			<-time.After(time.Hour)
		}
		for _, c := range []struct {
			at      es.AsOf
			version es.Version
			balance int64
			err     error
		}{
			{es.AtVersion(1), 1, 0, nil},
			{es.AtVersion(2), 2, 10, nil},
			{es.AtVersion(3), 3, 7, nil},
			{es.AtVersion(4), 0, 0, es.ErrNotSettled},
			{es.AtVersion(0), 0, 0, es.ErrStreamNotFound},
			{es.AtVersion(-1), 0, 0, es.ErrStreamNotFound},
			{es.AtPosition(0), 0, 0, es.ErrStreamNotFound},
			{es.AtPosition(1), 0, 0, es.ErrStreamNotFound}, // other/1
			{es.AtPosition(2), 1, 0, nil},
			{es.AtPosition(3), 1, 0, nil},
			{es.AtPosition(4), 2, 10, nil},
			{es.AtPosition(6), 3, 7, nil},
			{es.AtPosition(7), 0, 0, es.ErrNotSettled},
			{es.AtTime(hours[0].Add(-time.Second)), 0, 0, es.ErrStreamNotFound},
			{es.AtTime(hours[0]), 1, 0, nil},
			{es.AtTime(hours[1].Add(-time.Microsecond)), 1, 0, nil},
			{es.AtTime(hours[1]), 2, 10, nil},
			{es.AtTime(hours[1].Add(time.Minute)), 2, 10, nil},
			{es.AtTime(hours[2].Add(time.Minute)), 3, 7, nil},
			{es.AtTime(hours[2].Add(24 * time.Hour)), 0, 0, es.ErrNotSettled},
			{es.AsOf{}, 0, 0, es.ErrStreamNotFound},
		} {
			got, err := accounts.LoadAsOf(t.Context(), "a-1", c.at)
			if !errors.Is(err, c.err) || got.Version != c.version || got.Value.Balance != c.balance {
				t.Errorf("as of %s: got %+v, %v", c.at, got, err)
			}
			if err != nil && !strings.Contains(err.Error(), "as of "+c.at.String()) {
				t.Errorf("%q does not name the moment", err)
			}
		}
		for _, at := range []es.AsOf{es.AtVersion(1), es.AtPosition(2), es.AtTime(hours[1]), {}} {
			if _, err := accounts.LoadAsOf(t.Context(), "none", at); !errors.Is(err, es.ErrStreamNotFound) {
				t.Errorf("no stream as of %s: got %v", at, err)
			}
		}
	})
}

// As of any moment is the fold of what had happened by then.
func TestLoadAsOf_is_the_fold_of_a_prefix(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		store, accounts := newAccounts()
		ctx := context.Background()
		var states []aggregates.State[Account]
		var now Account
		for i, cents := range rapid.SliceOfN(rapid.Int64Range(-100, 100), 1, 40).Draw(r, "cents") {
			var event Event = Deposited{cents}
			if cents < 0 {
				event = Withdrawn{-cents}
			}
			data, err := codec.Encode(t.Context(), es.StreamID{}, event)
			if err != nil {
				r.Fatal(err)
			}
			recorded, err := store.Append(ctx, stream(strconv.Itoa(i%3)), es.Any, data)
			if err != nil {
				r.Fatal(err)
			}
			if i%3 == 0 {
				now = evolve(now, event)
				last := recorded[0]
				states = append(states, aggregates.State[Account]{ID: "0", Value: now, Version: last.Version, Position: last.Position, RecordedAt: last.RecordedAt})
			}
		}
		want := states[rapid.IntRange(0, len(states)-1).Draw(r, "moment")]
		for _, at := range []es.AsOf{es.AtVersion(want.Version), es.AtPosition(want.Position)} {
			if got, err := accounts.LoadAsOf(ctx, "0", at); err != nil || !cmp.Equal(want, got) {
				r.Fatalf("as of %s: %v\n%s", at, err, cmp.Diff(want, got))
			}
		}
		for _, s := range states { // several may share a microsecond: the last of them counts
			if s.RecordedAt.Equal(want.RecordedAt) && s.Version > want.Version {
				want = s
			}
		}
		if got, err := accounts.LoadAsOf(ctx, "0", es.AtTime(want.RecordedAt)); err != nil || !cmp.Equal(want, got) {
			r.Fatalf("as of %s: %v\n%s", want.RecordedAt, err, cmp.Diff(want, got))
		}
	})
}

// An answer as of a moment waits for the append that may still belong to it.
func TestLoadAsOf_is_final(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := pgstoretest.New(t)
	pool := store.Pool()
	accounts := aggregates.New(store, decider)
	opened := given(t, store, "a-1", Opened{"ann"})[0]

	tx, err := pool.Begin(ctx)
	must(t, err)
	defer tx.Rollback(context.WithoutCancel(ctx))
	slow, err := accounts.InTx(store.InTx(tx)).Decide(ctx, "a-1", deposit(10))
	must(t, err)
	later := given(t, store, "b-2", Opened{"bob"})[0] // a higher position, a later time

	for _, at := range []es.AsOf{es.AtTime(later.RecordedAt), es.AtPosition(later.Position)} {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		if state, err := accounts.LoadAsOf(short, "a-1", at); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("as of %s: got %+v, %v while an append that belongs to it was under way", at, state, err)
		}
		cancel()
	}
	answers := make(chan error, 1)
	go func() {
		state, err := accounts.LoadAsOf(ctx, "a-1", es.AtTime(later.RecordedAt))
		if err == nil && state.Version != slow.Version {
			err = fmt.Errorf("got version %d, want %d", state.Version, slow.Version)
		}
		answers <- err
	}()
	must(t, tx.Commit(ctx))
	if err := <-answers; err != nil {
		t.Error(err)
	}
	// Before the last event nothing is to be waited for, not even in a transaction.
	err = inTx(ctx, pool, func(tx *pgstore.Tx) error {
		state, err := accounts.InTx(tx).LoadAsOf(ctx, "a-1", es.AtTime(opened.RecordedAt))
		if err == nil && state.Version != 1 {
			err = fmt.Errorf("got %+v, want version 1", state)
		}
		return err
	}, store)
	must(t, err)
	err = inTx(ctx, pool, func(tx *pgstore.Tx) error {
		_, err := accounts.InTx(tx).LoadAsOf(ctx, "a-1", es.AtTime(later.RecordedAt))
		return err
	}, store)
	if err == nil || !strings.Contains(err.Error(), "outside of the transaction") {
		t.Errorf("the end of the stream as of a time, in a transaction: got %v, want a refusal", err)
	}
}

// Versions of a stream need no clock and no log: nobody is waited for, also in a
// transaction, and no event beyond is decoded.
func TestLoadAsOf_a_version_waits_for_nobody(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	given(t, store, "a-1", Opened{"ann"}, Deposited{10})
	read := &reading{Store: &settling{Store: store, before: func() { t.Error("it settles the log") }}}
	accounts := aggregates.New(read, decider)
	for version, want := range map[es.Version]error{0: es.ErrStreamNotFound, 1: nil, 2: nil, 3: es.ErrNotSettled} {
		state, err := accounts.LoadAsOf(t.Context(), "a-1", es.AtVersion(version))
		if !errors.Is(err, want) || want == nil && state.Version != version {
			t.Errorf("version %d: got %+v, %v", version, state, err)
		}
		if len(read.from) != 1 {
			t.Errorf("version %d: the stream was read %d times", version, len(read.from))
		}
		read.from = nil
	}
	_, err := store.Append(t.Context(), stream("a-1"), es.Any, es.EventData{ID: es.NewID(), Type: "account.closed", Data: []byte(`{}`)})
	must(t, err)
	if state, err := accounts.LoadAsOf(t.Context(), "a-1", es.AtVersion(2)); err != nil || state.Value.Balance != 10 {
		t.Errorf("before an event that is not known: got %+v, %v", state, err)
	}
}

func TestLoadAsOf_skips_no_event_recorded_meanwhile(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	given(t, store, "a-1", Opened{"ann"})
	meanwhile := &settling{Store: store}
	meanwhile.before = func() { given(t, store, "a-1", Deposited{10}) }
	state, err := aggregates.New(meanwhile, decider).LoadAsOf(t.Context(), "a-1", es.AtPosition(2))
	if err != nil || state.Version != 2 || state.Value.Balance != 10 {
		t.Errorf("got %+v, %v, want version 2", state, err)
	}
}

// settling lets a test act before the log is settled.
type settling struct {
	es.Store
	before func()
}

func (s *settling) Settle(ctx context.Context, at time.Time) (es.Position, error) {
	s.before()
	return s.Store.Settle(ctx, at)
}

func (s *settling) SettleTo(ctx context.Context, p es.Position) error {
	s.before()
	return s.Store.SettleTo(ctx, p)
}
