package reactions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/reactions"
)

func TestRetry_counts_its_tries_and_keeps_the_first_time(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := reactions.New(w.reaction())
	w.poisons("a", 1, errPoison)
	w.deliver(r, placed("a", 1, 1), placed("a", 2, 2))
	before, err := reactions.ListParked(t.Context(), w.store)
	if err != nil {
		t.Fatal(err)
	}
	w.poisons("a", 1, errors.New("it is worse\x00"))
	if done, err := r.RetryMessage(t.Context(), before[0].Number); err != nil || done != (reactions.Retried{Parked: 2}) {
		t.Errorf("%+v, %v", done, err)
	}
	w.wantParked(`a@1 "it is worse�" tried 3 behind false`, `a@2 "" tried 0 behind true`)
	after, err := reactions.ListParked(t.Context(), w.store)
	if err != nil || !after[0].First.Equal(before[0].First) || !after[0].Last.After(before[0].Last) {
		t.Errorf("%+v, %v", after, err)
	}
	if _, err := r.RetryMessage(t.Context(), before[1].Number); !errors.Is(err, reactions.ErrWaits) {
		t.Error(err)
	}
	if _, err := r.RetryMessage(t.Context(), before[1].Number+1); !errors.Is(err, reactions.ErrNotParked) || !strings.Contains(err.Error(), "dead-letters list") {
		t.Error(err)
	}
	if _, err := r.RetryStream(t.Context(), es.StreamID{Category: "order", ID: "b"}); !errors.Is(err, reactions.ErrNotParked) {
		t.Error(err)
	}
	w.mend()
	if done, err := r.RetryMessage(t.Context(), before[0].Number); err != nil || done != (reactions.Retried{Reacted: 1}) {
		t.Errorf("%+v, %v", done, err)
	}
	w.wantEffects("a", 1)
	w.wantParked(`a@2 "" tried 0 behind false`)
	other := w.reaction()
	other.Name = "other"
	if done, err := reactions.New(other).RetryAll(t.Context()); err != nil || done != (reactions.Retried{}) {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := reactions.New(other).RetryMessage(t.Context(), before[1].Number); !errors.Is(err, reactions.ErrNotParked) {
		t.Error(err)
	}
}

// An outage is no try.
func TestRetry_in_an_outage_leaves_all_as_it_was(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.reaction()
	r := reactions.New(c)
	w.poisons("a", 1, errPoison)
	w.deliver(r, placed("a", 1, 1))
	c.React = func(ctx context.Context, _ Event, _ es.Recorded, tx *pgstore.Tx) error {
		_, err := tx.Tx().Exec(ctx, `select pg_terminate_backend(pg_backend_pid())`)
		return err
	}
	if done, err := reactions.New(c).RetryAll(t.Context()); err == nil || done != (reactions.Retried{}) {
		t.Errorf("%+v, %v", done, err)
	}
	w.wantParked(`a@1 "it is poison" tried 2 behind false`)
}

func TestSkip_leaves_a_message_out_and_tries_what_waits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := reactions.New(w.reaction())
	w.poisons("a", 1, errPoison)
	w.poisons("a", 3, errPoison)
	for n := range 4 {
		w.deliver(r, placed("a", n+1, int64(n+1)))
	}
	number := w.numberOf(1)
	for _, why := range []string{"", " \n"} {
		if _, err := r.Skip(t.Context(), number, why); !errors.Is(err, es.ErrInvalid) {
			t.Error(err)
		}
	}
	if _, err := r.Skip(t.Context(), number+100, "no"); !errors.Is(err, reactions.ErrNotParked) {
		t.Error(err)
	}
	if done, err := r.Skip(t.Context(), number, "an old\x00mistake"); err != nil || done != (reactions.Retried{Reacted: 1, Parked: 2}) {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := r.Skip(t.Context(), number, "again"); !errors.Is(err, reactions.ErrNotParked) {
		t.Error(err)
	}
	w.wantEffects("a", 2)
	skipped, err := reactions.ListSkipped(t.Context(), w.store, "count")
	if err != nil || len(skipped) != 1 || skipped[0].Number != number || skipped[0].Reason != "an old�mistake" || skipped[0].Stream.ID != "a" || skipped[0].Offset != 1 || skipped[0].Type != "order.placed" || skipped[0].EventID == [16]byte{} || skipped[0].At.IsZero() {
		t.Errorf("%+v, %v", skipped, err)
	}
	if list, err := reactions.ListSkipped(t.Context(), w.store, "other"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// What a skipped message waits behind was not asked for.
func TestSkip_of_what_waits_does_not_try_the_first(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := reactions.New(w.reaction())
	w.poisons("a", 1, errPoison)
	for n := range 3 {
		w.deliver(r, placed("a", n+1, int64(n+1)))
	}
	w.mend()
	if done, err := r.Skip(t.Context(), w.numberOf(2), "an old mistake"); err != nil || done != (reactions.Retried{}) {
		t.Errorf("%+v, %v", done, err)
	}
	w.wantEffects("a")
	w.wantParked(`a@1 "it is poison" tried 2 behind false`, `a@3 "" tried 0 behind true`)
	if done, err := r.RetryAll(t.Context()); err != nil || done != (reactions.Retried{Reacted: 2}) {
		t.Errorf("%+v, %v", done, err)
	}
	w.wantEffects("a", 1, 3)
}

// A message that was parked for longer than the inbox keeps ids, and comes again, is
// neither parked twice nor reacted to twice; nor is one that was skipped then.
func TestRetention_does_not_forget_what_is_parked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.reaction()
	c.Retention = time.Hour
	r := reactions.New(c)
	w.poisons("a", 1, errPoison)
	w.poisons("b", 1, errPoison)
	first, second, other := placed("a", 1, 1), placed("a", 2, 2), placed("b", 1, 3)
	w.deliver(r, first, second, other)
	w.exec(`delete from asof.inbox`) // by a prune, two hours later
	w.deliver(r, second, first, other)
	if got := w.parked(); len(got) != 3 || !strings.HasPrefix(got[0], "a@1") || !strings.HasPrefix(got[1], "a@2") {
		t.Errorf("%q", got)
	}
	w.exec(`update asof.inbox set received_at = received_at - interval '2 hours'`)
	w.mend()
	if done, err := r.RetryStream(t.Context(), es.StreamID{Category: "order", ID: "a"}); err != nil || done != (reactions.Retried{Reacted: 2}) {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := r.Skip(t.Context(), w.numberOf(3), "no"); err != nil {
		t.Error(err)
	}
	if n := w.number(`select count(*) from asof.inbox where received_at > clock_timestamp() - interval '1 hour'`); n != 3 {
		t.Errorf("%d are noted as had now", n)
	}
	w.deliver(r, first, second, other)
	w.wantEffects("a", 1, 2)
	w.wantEffects("b")
}

// What comes while a sequence is retried waits for that, and goes on from there.
func TestRetry_under_way_lets_nothing_overtake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := reactions.New(w.reaction())
	w.poisons("a", 1, errPoison)
	w.deliver(r, placed("a", 1, 1))
	begun, finish := make(chan struct{}), make(chan struct{})
	c := w.reaction()
	c.React = func(ctx context.Context, e Event, r es.Recorded, tx *pgstore.Tx) error {
		close(begun)
		<-finish
		return w.effect(ctx, tx, r.Stream.ID, e.(Placed).N)
	}
	number := w.numberOf(1)
	retried, again, one, delivered := make(chan error, 1), make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := reactions.New(c).RetryAll(t.Context())
		retried <- err
	}()
	<-begun
	w.mend()
	go func() { // another operator
		done, err := r.RetryAll(t.Context())
		if err == nil && done != (reactions.Retried{}) {
			err = fmt.Errorf("it has done %+v", done)
		}
		again <- err
	}()
	go func() { // and one who asks for the message
		done, err := r.RetryMessage(t.Context(), number)
		if errors.Is(err, reactions.ErrNotParked) && done == (reactions.Retried{}) {
			one <- nil
			return
		}
		one <- fmt.Errorf("it has done %+v: %w", done, err)
	}()
	go func() { delivered <- r.Deliver(t.Context(), placed("a", 2, 2)) }()
	until(t, "all wait for the lock", func() bool {
		return w.number(`select count(*) from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())`) == 3
	})
	w.wantEffects("a")
	close(finish)
	for what, ended := range map[string]chan error{"retry": retried, "another retry": again, "a retry of the message": one, "delivery": delivered} {
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.wantEffects("a", 1, 2)
	w.wantParked()
}
