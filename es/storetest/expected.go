package storetest

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"

	"github.com/asof-dev/asof/es"
)

func expectedVersions(w *world) {
	const two = "two"
	w.append(two, es.NoStream, data(2)...)
	for _, c := range []struct {
		id   string
		want es.Expected
		got  es.Version // of the conflict; -1: no conflict
	}{
		{"none", es.StreamExists, 0},
		{"none", es.Exactly(1), 0},
		{"none", es.Exactly(5), 0},
		{two, es.NoStream, 2},
		{two, es.Exactly(0), 2},
		{two, es.Exactly(1), 2},
		{two, es.Exactly(3), 2},
		{"none a", es.NoStream, -1},
		{"none b", es.Exactly(0), -1},
		{"none c", es.Any, -1},
		{two, es.Exactly(2), -1}, // and from here on it has three
		{two, es.Exactly(2), 3},
		{two, es.StreamExists, -1},
		{two, es.Any, -1},
		{two, es.Exactly(4), 5},
		{two, es.Exactly(5), -1},
	} {
		for _, n := range []int{1, 2} { // one event and several are two statements
			if c.got < 0 {
				if n == 1 {
					w.append(c.id, c.want, data(1)...)
				}
				continue
			}
			err := w.refusal(c.id+" expecting "+c.want.String(), stream(c.id), c.want, es.ErrConflict, data(n)...)
			if conflict, ok := errors.AsType[*es.ConflictError](err); !ok {
				w.Errorf("%s expecting %s: %v is no *es.ConflictError", c.id, c.want, err)
			} else if conflict.Got != c.got || conflict.Want != c.want || conflict.Stream != stream(c.id) {
				w.Errorf("%s expecting %s: the conflict says %+v, want version %d", c.id, c.want, *conflict, c.got)
			}
		}
	}
	w.none("after conflicts", stream("none"))
	for _, wrong := range []es.Version{-1, -2, -3, math.MinInt64, math.MinInt64 + 1, math.MinInt64 + 2} { // a calculation that went wrong
		for _, id := range []string{two, "none"} {
			w.refused("a negative version", id, es.Exactly(wrong), es.ErrInvalid, data(1)...)
			w.refused("a number that means nothing", id, es.Expected(max(wrong, -3)), es.ErrInvalid, data(1)...)
		}
	}
	w.ordered(w.read(two, 1))
}

const writers = 32

// together runs f in as many goroutines as there are writers, which begin at once.
func (w *world) together(f func(ctx context.Context, writer int) error) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for writer := range writers {
		wg.Go(func() {
			<-begin
			if err := f(ctx, writer); err != nil {
				w.Errorf("writer %d: %v", writer, err)
			}
		})
	}
	close(begin)
	wg.Wait()
}

// exactlyConcurrent: of those who expect one version, one wins, and the others
// learn the version that beat them.
func exactlyConcurrent(w *world) {
	const each = 5
	w.together(func(ctx context.Context, writer int) error {
		want := es.Version(0)
		for won := 0; won < each; {
			events := data(1 + writer%3)
			recorded, err := w.store.Append(ctx, stream("1"), es.Exactly(want), events...)
			var conflict *es.ConflictError
			switch {
			case errors.As(err, &conflict):
				if conflict.Got <= want {
					w.Errorf("a conflict of version %d says that the stream is at %d", want, conflict.Got)
				}
				want = conflict.Got
			case err != nil:
				return err
			default:
				if recorded[0].Version != want+1 {
					w.Errorf("an append after version %d got version %d", want, recorded[0].Version)
				}
				want = recorded[len(recorded)-1].Version
				won++
			}
		}
		return nil
	})
	total := 0
	for writer := range writers {
		total += each * (1 + writer%3)
	}
	got := w.read("1", 1)
	w.ordered(got)
	if len(got) != total {
		w.Errorf("the stream has %d events, want %d", len(got), total)
	}
}

// anyConcurrent: appends that expect nothing all succeed.
func anyConcurrent(w *world) {
	const each = 10
	var total atomic.Int64
	w.together(func(ctx context.Context, writer int) error {
		for n := range each {
			events := data(1 + (writer+n)%3)
			recorded, err := w.store.Append(ctx, stream("1"), es.Any, events...)
			if err != nil {
				return err
			}
			w.ordered(recorded)
			total.Add(int64(len(events)))
		}
		return nil
	})
	got := w.read("1", 1)
	w.ordered(got)
	if len(got) != int(total.Load()) || got[0].Version != 1 {
		w.Errorf("the stream has %d events, want %d", len(got), total.Load())
	}
}

// noneConcurrent: a stream begins once, with one whole batch.
func noneConcurrent(w *world) {
	var won atomic.Int64
	w.together(func(ctx context.Context, _ int) error {
		_, err := w.store.Append(ctx, stream("1"), es.NoStream, data(3)...)
		if err == nil {
			won.Add(1)
		} else if !errors.Is(err, es.ErrConflict) {
			return err
		}
		return nil
	})
	if got := w.read("1", 1); won.Load() != 1 || len(got) != 3 {
		w.Errorf("%d appends began the stream, which has %d events: want one, and its 3", won.Load(), len(got))
	}
}

// existsConcurrent: as any, once the stream is there.
func existsConcurrent(w *world) {
	w.append("1", es.NoStream, data(1)...)
	w.together(func(ctx context.Context, _ int) error {
		_, err := w.store.Append(ctx, stream("1"), es.StreamExists, data(2)...)
		return err
	})
	got := w.read("1", 1)
	w.ordered(got)
	if len(got) != 1+2*writers {
		w.Errorf("the stream has %d events, want %d", len(got), 1+2*writers)
	}
}
