package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/pgstore"
)

func TestDuplicates_at_once_react_once(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const messages, consumers = 60, 8
	boxes := []*inbox.Inbox{inbox.New(w.store, "reserve"), inbox.New(w.store, "reserve")} // as two processes have it
	var fresh atomic.Int64
	var wg sync.WaitGroup
	for c := range consumers {
		wg.Go(func() {
			for m := range messages {
				first, err := boxes[c%2].Once(t.Context(), fmt.Sprintf("/orders/%d", m), reserve)
				if err != nil {
					t.Errorf("message %d: %v", m, err)
				}
				if first {
					fresh.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if fresh.Load() != messages {
		t.Errorf("%d deliveries were the first of %d messages", fresh.Load(), messages)
	}
	w.want(messages, messages)
	a, b := boxes[0].Counts(), boxes[1].Counts()
	if a.Reacted+b.Reacted != messages || a.Repeated+b.Repeated != messages*(consumers-1) {
		t.Errorf("%+v, %+v", a, b)
	}
}

// A member of a group that lost its partition still reacts when the message is
// delivered to the next: that one waits for what becomes of the reaction.
func TestRedelivery_during_the_reaction_waits_for_it(t *testing.T) {
	t.Parallel()
	for outcome, err := range map[string]error{"committed": nil, "failed": errors.New("out of stock")} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			reacting, goOn := make(chan struct{}), make(chan struct{})
			var first, second bool
			var firstErr, secondErr error
			var wg sync.WaitGroup
			wg.Go(func() {
				first, firstErr = inbox.New(w.store, "reserve").Once(t.Context(), "/orders/1", func(ctx context.Context, tx *pgstore.Tx) error {
					close(reacting)
					<-goOn
					return errors.Join(err, reserve(ctx, tx))
				})
			})
			<-reacting
			wg.Go(func() {
				second, secondErr = inbox.New(w.store, "reserve").Once(t.Context(), "/orders/1", reserve)
			})
			ctx := within(t, 30*time.Second)
			for w.number(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ~ 'insert into .*inbox'`) == 0 {
				if ctx.Err() != nil {
					t.Error("the second delivery does not wait")
					break
				}
			}
			close(goOn)
			wg.Wait()
			if !errors.Is(firstErr, err) || secondErr != nil || first == second || first != (err == nil) {
				t.Errorf("first %v, %v, second %v, %v", first, firstErr, second, secondErr)
			}
			w.want(1, 1)
		})
	}
}

// A process that ends after the commit does not acknowledge the message.
func TestRedelivery_after_commit_does_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for delivery := range 3 {
		fresh, err := inbox.New(w.store, "reserve").Once(t.Context(), "/orders/1", reserve)
		if err != nil || fresh != (delivery == 0) {
			t.Fatalf("delivery %d: %v, %v", delivery, fresh, err)
		}
	}
	w.want(1, 1)
}

func TestSession_killed_before_commit_leaves_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	box := inbox.New(w.store, "reserve")
	_, err := box.Once(t.Context(), "/orders/1", func(ctx context.Context, tx *pgstore.Tx) error {
		if err := reserve(ctx, tx); err != nil {
			return err
		}
		_, _ = tx.Tx().Exec(ctx, `select pg_terminate_backend(pg_backend_pid())`)
		return nil // it does not notice
	})
	if err == nil || !strings.Contains(err.Error(), "/orders/1") {
		t.Fatalf("got %v, want an error that names the message", err)
	}
	w.want(0, 0)
	if fresh, err := box.Once(t.Context(), "/orders/1", reserve); err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	w.want(1, 1)
}

func TestFailed_reaction_leaves_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`create table notes (text text)`)
	box := inbox.New(w.store, "reserve")
	refused := errors.New("out of stock")
	fail := func(ctx context.Context, tx *pgstore.Tx) error {
		if err := reserve(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Tx().Exec(ctx, `insert into notes values ('reserved')`); err != nil {
			return err
		}
		return refused
	}
	if fresh, err := box.Once(t.Context(), "/orders/1", fail); err != refused || fresh { //nolint:errorlint // to be returned as it is
		t.Fatal(fresh, err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = box.Once(t.Context(), "/orders/1", func(ctx context.Context, tx *pgstore.Tx) error {
			_ = reserve(ctx, tx)
			panic("at the worst time")
		})
	}()
	w.want(0, 0)
	if n := w.number(`select count(*) from notes`); n != 0 {
		t.Fatalf("%d notes", n)
	}
	if fresh, err := box.Once(t.Context(), "/orders/1", reserve); err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	w.want(1, 1)
}

func TestConflict_reacts_to_what_is_there_now(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	calls := 0
	_, err := inbox.New(w.store, "reserve").Once(t.Context(), "/orders/1", func(ctx context.Context, tx *pgstore.Tx) error {
		calls++
		version := es.Version(w.number(`select count(*) from asof.events`))
		if calls == 1 { // a rival comes in between
			if _, err := w.store.Append(ctx, stock(), es.Any, reserved(ctx)); err != nil {
				return err
			}
		}
		_, err := tx.Append(ctx, stock(), es.Exactly(version), reserved(ctx))
		return err
	})
	if err != nil || calls != 2 {
		t.Fatalf("%d calls, %v", calls, err)
	}
	w.want(2, 1)
}

func TestConflict_that_stays_is_returned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	calls := 0
	fresh, err := inbox.New(w.store, "reserve").Once(t.Context(), "/orders/1", func(ctx context.Context, tx *pgstore.Tx) error {
		calls++
		_, err := tx.Append(ctx, stock(), es.Exactly(7), reserved(ctx))
		return err
	})
	if fresh || !errors.Is(err, es.ErrConflict) || calls < 2 || calls > 10 {
		t.Fatalf("%d calls, %v, %v", calls, fresh, err)
	}
	w.want(0, 0)
}

// Two reactions that append to the same streams in opposite orders: the database ends
// one of them, which is tried again.
func TestDeadlock_is_tried_again(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	box := inbox.New(w.store, "reserve")
	var both sync.WaitGroup
	both.Add(2)
	var calls atomic.Int64
	react := func(first, second string) func(context.Context, *pgstore.Tx) error {
		met := false
		return func(ctx context.Context, tx *pgstore.Tx) error {
			calls.Add(1)
			if _, err := tx.Append(ctx, es.StreamID{Category: "stock", ID: first}, es.Any, reserved(ctx)); err != nil {
				return err
			}
			if !met {
				met = true
				both.Done()
				both.Wait()
			}
			_, err := tx.Append(ctx, es.StreamID{Category: "stock", ID: second}, es.Any, reserved(ctx))
			return err
		}
	}
	ctx := within(t, 30*time.Second)
	var wg sync.WaitGroup
	for id, r := range map[string]func(context.Context, *pgstore.Tx) error{"/orders/1": react("a", "b"), "/orders/2": react("b", "a")} {
		wg.Go(func() {
			if fresh, err := box.Once(ctx, id, r); err != nil || !fresh {
				t.Errorf("%s: %v, %v", id, fresh, err)
			}
		})
	}
	wg.Wait()
	if calls.Load() < 3 {
		t.Errorf("%d calls: nothing was tried again, so the test proves nothing", calls.Load())
	}
	w.want(4, 2)
}

func TestConsumers_do_not_know_of_each_other(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, consumer := range []string{"reserve", "bill"} {
		if fresh, err := inbox.New(w.store, consumer).Once(t.Context(), "/orders/1", reserve); err != nil || !fresh {
			t.Fatal(consumer, fresh, err)
		}
	}
	w.want(2, 2)
}

// What a message says is noted whatever it is; what the program says is checked.
func TestIDs_that_could_not_be_stored_are_noted_all_the_same(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	box := inbox.New(w.store, strings.Repeat("c", inbox.MaxConsumer))
	long := strings.Repeat("1", inbox.MaxMessageID)
	ids := []string{long, long + "1", long + "2", "\xff", "\xfe", "a\x00b", "a\x00c", strings.Repeat("1", 1<<20), "sha256:", "sha256:1"}
	for delivery := range 2 {
		for _, id := range ids {
			if fresh, err := box.Once(t.Context(), id, reserve); err != nil || fresh != (delivery == 0) {
				t.Errorf("delivery %d of %.20q: %v, %v", delivery, id, fresh, err)
			}
		}
	}
	w.want(int64(len(ids)), int64(len(ids)))
	// Nor can one message pass for another by the digest of it.
	noted := w.text(`select message_id from asof.inbox where message_id like 'sha256:%' limit 1`)
	if fresh, err := box.Once(t.Context(), noted, reserve); err != nil || !fresh {
		t.Errorf("%s: %v, %v", noted, fresh, err)
	}
	if _, err := box.Once(t.Context(), "", reserve); !errors.Is(err, es.ErrInvalid) {
		t.Errorf("no id: %v", err)
	}
}

func TestMissing_table_says_what_to_do(t *testing.T) {
	t.Parallel()
	store := pgstore.New(embeddedtest.Pool(t))
	if _, err := inbox.New(store, "reserve").Once(t.Context(), "1", reserve); err == nil || !strings.Contains(err.Error(), "run the migrations") {
		t.Fatal(err)
	}
}
