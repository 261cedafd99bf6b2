package reactions_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/es/reactions"
)

// history is a partition with events of some streams, of which some are poison, and what
// is to come of them.
type history struct {
	*world
	reactor  *reactions.Reactor
	messages []kafka.Message
	streams  []string // of each message
	numbers  []int    // in its stream
	bad      map[int]bool
	cut      bool // the next reaction's session ends before the commit

	next    int // message that comes next
	done    map[string][]int
	waiting map[string][]int // offsets, in order
	skipped map[string][]int
}

func newHistory(t *rapid.T, w *world) *history {
	h := &history{world: w, bad: map[int]bool{}, done: map[string][]int{}, waiting: map[string][]int{}, skipped: map[string][]int{}}
	w.exec(`truncate public.effects, asof.inbox, asof.parked_messages, asof.skipped_messages, asof.reaction_waits`)
	w.mend()
	last := map[string]int{}
	for offset := range rapid.IntRange(1, 12).Draw(t, "messages") {
		stream := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "stream")
		last[stream]++
		h.messages = append(h.messages, placed(stream, last[stream], int64(offset)))
		h.streams, h.numbers = append(h.streams, stream), append(h.numbers, last[stream])
		if rapid.IntRange(0, 3).Draw(t, "poison") == 0 {
			h.bad[offset] = true
			w.poisons(stream, last[stream], errPoison)
		}
	}
	c := w.reaction()
	c.React = func(ctx context.Context, e Event, r es.Recorded, tx *pgstore.Tx) error {
		err := w.react(ctx, e, r, tx)
		if h.cut {
			h.cut = false
			_, _ = tx.Tx().Exec(ctx, `select pg_terminate_backend(pg_backend_pid())`)
		}
		return err
	}
	h.reactor = reactions.New(c)
	return h
}

// deliverNext hands out the next message, and before it some that were had.
func (h *history) deliverNext(t *rapid.T) {
	for offset := rapid.IntRange(0, h.next).Draw(t, "from"); offset <= h.next && offset < len(h.messages); offset++ {
		if err := h.reactor.Deliver(h.Context(), h.messages[offset]); err != nil {
			t.Fatal(err)
		}
	}
	if h.next == len(h.messages) {
		return
	}
	switch stream := h.streams[h.next]; {
	case len(h.waiting[stream]) > 0 || h.bad[h.next]:
		h.waiting[stream] = append(h.waiting[stream], h.next)
	default:
		h.done[stream] = append(h.done[stream], h.numbers[h.next])
	}
	h.next++
}

// tried moves what a retry of a stream takes in, and says what came of it.
func (h *history) tried(stream string, most int) (done reactions.Retried) {
	for most > 0 && len(h.waiting[stream]) > 0 && !h.bad[h.waiting[stream][0]] {
		h.done[stream] = append(h.done[stream], h.numbers[h.waiting[stream][0]])
		h.waiting[stream] = h.waiting[stream][1:]
		done.Reacted++
		most--
	}
	if most > 0 {
		done.Parked = len(h.waiting[stream])
	}
	return done
}

// again repeats a call that the end of its session broke off, as an operator does.
func (h *history) again(t *rapid.T, call func() (reactions.Retried, error)) reactions.Retried {
	cut := h.cut
	before, err := call()
	if err != nil && cut && !h.cut {
		var after reactions.Retried
		after, err = call()
		before.Reacted, before.Parked = before.Reacted+after.Reacted, before.Parked+after.Parked
	}
	if err != nil && !errors.Is(err, reactions.ErrNotParked) {
		t.Fatal(err)
	}
	return before
}

func (h *history) check(t *rapid.T) {
	parked := map[string][]int{}
	list, err := reactions.ListParked(h.Context(), h.store)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		parked[p.Stream.ID] = append(parked[p.Stream.ID], int(p.Message.Offset))
	}
	for _, stream := range []string{"a", "b", "c"} {
		if got := h.effects(stream); !slices.Equal(got, h.done[stream]) {
			t.Fatalf("%s: reacted to %v, the model to %v", stream, got, h.done[stream])
		}
		if !slices.Equal(parked[stream], h.waiting[stream]) {
			t.Fatalf("%s: parked %v, by the model %v", stream, parked[stream], h.waiting[stream])
		}
	}
}

// Whatever comes, comes again, fails, is cut off, mended, retried and skipped: each event
// is reacted to once, in the order of its stream, and none overtakes one that is parked.
func TestAny_history_with_poison_is_reacted_to_once_and_in_order(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(rt, w)
		rt.Repeat(map[string]func(*rapid.T){
			"deliver": h.deliverNext,
			"cut":     func(*rapid.T) { h.cut = true },
			"mend": func(t *rapid.T) {
				if i := rapid.IntRange(0, len(h.messages)-1).Draw(t, "message"); h.bad[i] {
					delete(h.bad, i)
					w.poisons(h.streams[i], h.numbers[i], nil)
				}
			},
			"retry all": func(t *rapid.T) {
				var want reactions.Retried
				got := h.again(t, func() (reactions.Retried, error) { return h.reactor.RetryAll(t.Context()) })
				for _, stream := range []string{"a", "b", "c"} {
					done := h.tried(stream, len(h.messages))
					want.Reacted, want.Parked = want.Reacted+done.Reacted, want.Parked+done.Parked
				}
				if got.Reacted != want.Reacted || got.Parked < want.Parked {
					t.Fatalf("%+v, by the model %+v", got, want)
				}
			},
			"retry a stream": func(t *rapid.T) {
				stream := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "stream")
				got := h.again(t, func() (reactions.Retried, error) {
					return h.reactor.RetryStream(t.Context(), es.StreamID{Category: "order", ID: stream})
				})
				if want := h.tried(stream, len(h.messages)); got.Reacted != want.Reacted {
					t.Fatalf("%+v, by the model %+v", got, want)
				}
			},
			"retry one": func(t *rapid.T) {
				for _, stream := range []string{"a", "b", "c"} {
					if len(h.waiting[stream]) > 1 {
						if _, err := h.reactor.RetryMessage(t.Context(), w.numberOf(int64(h.waiting[stream][1]))); !errors.Is(err, reactions.ErrWaits) {
							t.Fatal(err)
						}
					}
					if len(h.waiting[stream]) > 0 {
						number := w.numberOf(int64(h.waiting[stream][0]))
						got := h.again(t, func() (reactions.Retried, error) { return h.reactor.RetryMessage(t.Context(), number) })
						if want := h.tried(stream, 1); got.Reacted != want.Reacted {
							t.Fatalf("%+v, by the model %+v", got, want)
						}
					}
				}
			},
			"skip": func(t *rapid.T) {
				for _, stream := range []string{"a", "b", "c"} {
					if n := len(h.waiting[stream]); n > 0 && rapid.Bool().Draw(t, stream) {
						i := rapid.IntRange(0, n-1).Draw(t, "which")
						number := w.numberOf(int64(h.waiting[stream][i]))
						h.waiting[stream] = slices.Delete(slices.Clone(h.waiting[stream]), i, i+1)
						h.cut = false
						got, err := h.reactor.Skip(t.Context(), number, "it is never to be")
						want := reactions.Retried{}
						if i == 0 { // nothing waits for another
							want = h.tried(stream, len(h.messages))
						}
						if err != nil || got != want {
							t.Fatalf("%+v, %v, by the model %+v", got, err, want)
						}
					}
				}
			},
			"": h.check,
		})
	})
}

// Processes that know nothing of each other have the same partition at once, from places
// of their own, sessions end at any moment, and two retry all the while.
func TestProcesses_at_once_lose_nothing_and_overtake_nothing(t *testing.T) {
	t.Parallel()
	const streams, events, processes = 5, 12, 3
	admin := pgstoretest.New(t)
	w := on(t, admin)
	var messages []kafka.Message
	for n := range events {
		for s := range streams {
			messages = append(messages, placed(fmt.Sprint(s), n+1, int64(len(messages))))
		}
	}
	w.poisons("0", 3, errPoison)
	w.poisons("1", 1, errPanic)
	w.poisons("2", 12, errPoison)
	c := w.reaction()
	c.React = func(ctx context.Context, e Event, r es.Recorded, tx *pgstore.Tx) error {
		err := w.react(ctx, e, r, tx)
		switch rand.IntN(25) {
		case 0:
			_, _ = tx.Tx().Exec(ctx, `select pg_terminate_backend(pg_backend_pid())`)
		case 1:
			err = errors.Join(err, errors.New("not now"))
		}
		return err
	}
	var group sync.WaitGroup
	for range processes {
		group.Go(func() {
			r := reactions.New(c)
			for from := 0; from < len(messages); { // it is revoked now and then, and begins before where it was
				to := min(len(messages), from+1+rand.IntN(20))
				for _, m := range messages[max(0, from-rand.IntN(10)):to] {
					if err := r.Deliver(t.Context(), m); err != nil {
						t.Error(err)
					}
				}
				from = to
			}
		})
	}
	over := make(chan struct{})
	var retrying sync.WaitGroup
	for range 2 {
		retrying.Go(func() {
			r := reactions.New(c)
			for round := 0; ; round++ {
				select {
				case <-over:
					return
				default:
				}
				_, _ = r.RetryAll(t.Context()) // its sessions end, too
				if round == 20 {
					w.poisons("0", 3, nil)
				}
			}
		})
	}
	group.Wait()
	close(over)
	retrying.Wait()
	w.inOrder(streams)
	w.mend()
	until(t, "all is retried", func() bool {
		_, _ = reactions.New(c).RetryAll(t.Context())
		return len(w.parked()) == 0
	})
	w.inOrder(streams)
	for s := range streams {
		if got := w.effects(fmt.Sprint(s)); len(got) != events {
			t.Errorf("%d: reacted to %v", s, got)
		}
	}
	if left := w.number(`select count(*) from asof.inbox`); left != int64(len(messages)) {
		t.Errorf("%d messages are noted", left)
	}
}

// inOrder checks that each stream's events were reacted to from the first on, without a
// hole.
func (w *world) inOrder(streams int) {
	w.Helper()
	for s := range streams {
		for i, n := range w.effects(fmt.Sprint(s)) {
			if n != i+1 {
				w.Fatalf("%d: reacted to %v", s, w.effects(fmt.Sprint(s)))
			}
		}
	}
}
