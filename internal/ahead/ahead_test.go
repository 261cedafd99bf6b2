package ahead_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/asof-dev/asof/internal/ahead"
)

const most = 4

func pass(ctx context.Context, in <-chan []int, out chan<- []int) {
	defer close(out)
	ahead.Pass(ctx, in, out,
		func(waiting, next []int) bool { return len(waiting)+len(next) <= most },
		func(waiting, next []int) []int { return append(waiting, next...) })
}

func TestPass_adds_what_comes_while_the_taker_is_busy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, out := make(chan []int), make(chan []int)
		go pass(t.Context(), in, out)
		go func() {
			defer close(in)
			for n := range 10 {
				in <- []int{n}
			}
		}()
		var got [][]int
		for range 3 {
			synctest.Wait() // all that can come has come
			got = append(got, <-out)
		}
		want := [][]int{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}}
		if !slices.EqualFunc(got, want, slices.Equal[[]int]) {
			t.Errorf("got %v, want %v", got, want)
		}
		if _, open := <-out; open {
			t.Error("there is more")
		}
	})
}

func TestPass_hands_on_at_once_what_its_taker_waits_for(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, out := make(chan []int), make(chan []int)
		go pass(t.Context(), in, out)
		for n := range 10 {
			in <- []int{n}
			if got := <-out; !slices.Equal(got, []int{n}) {
				t.Errorf("got %v, want %d", got, n)
			}
		}
		close(in)
		if _, open := <-out; open {
			t.Error("there is more")
		}
	})
}

func TestPass_ends_with_its_context(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		in, out := make(chan []int), make(chan []int)
		go pass(ctx, in, out)
		in <- []int{1}
		cancel()
		synctest.Wait()
		if got, open := <-out; open {
			t.Errorf("got %v after the end", got)
		}
	})
}
