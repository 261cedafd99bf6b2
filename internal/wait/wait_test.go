package wait_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asof-dev/asof/internal/wait"
)

func TestFor_ends_with_the_time_or_with_the_cause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if err := wait.For(t.Context(), time.Second); err != nil || time.Since(begin) != time.Second {
			t.Errorf("waited %s, %v", time.Since(begin), err)
		}
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Millisecond, func() { cancel(why) })
		if err := wait.For(ctx, time.Hour); !errors.Is(err, why) {
			t.Errorf("got %v, want the cause", err)
		}
	})
}

func TestBackoff_doubles_to_its_bound_and_begins_again(t *testing.T) {
	t.Parallel()
	b := wait.Backoff{First: 2 * time.Millisecond, Last: 7 * time.Millisecond}
	for i, want := range []time.Duration{2 * time.Millisecond, 4 * time.Millisecond, 7 * time.Millisecond, 7 * time.Millisecond} {
		if got := b.Next(); got != want {
			t.Errorf("pause %d is %s, want %s", i+1, got, want)
		}
	}
	b.Reset()
	if got := b.Next(); got != 2*time.Millisecond {
		t.Errorf("after Reset the pause is %s", got)
	}
}

func TestBackoff_at_random_stays_below_its_bound(t *testing.T) {
	t.Parallel()
	b := wait.Backoff{First: time.Millisecond, Last: 4 * time.Millisecond, Random: true}
	different := map[time.Duration]bool{}
	for range 100 {
		d := b.Next()
		if d < 0 || d >= 4*time.Millisecond {
			t.Fatalf("pause of %s", d)
		}
		different[d] = true
	}
	if len(different) < 50 {
		t.Errorf("only %d different pauses of 100", len(different))
	}
}

func TestBeyond_ends_a_grace_after_its_parent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent, end := context.WithCancel(t.Context())
		longer, stop := wait.Beyond(parent, time.Second)
		defer stop()
		end()
		begin := time.Now()
		<-longer.Done()
		if got := time.Since(begin); got != time.Second {
			t.Errorf("it ended %s after its parent", got)
		}
		early, stop := wait.Beyond(t.Context(), time.Hour)
		stop()
		if early.Err() == nil {
			t.Error("stop did not end it")
		}
	})
}
