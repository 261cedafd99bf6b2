package apply //nolint:testpackage // what it tests is not for others

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections/internal/table"
)

func TestPace_cuts_batches_by_what_Apply_takes(t *testing.T) {
	t.Parallel()
	var p pace
	if n := p.most(false, 0); n != math.MaxInt || !p.short(math.MaxInt32) {
		t.Errorf("%d where nothing is known", n)
	}
	for each, want := range map[time.Duration][4]int{ // in a batch, in the second try, in a rebuild, while others wait
		100 * time.Millisecond: {10, 5, 300, 10},
		time.Second:            {1, 1, 30, 1},
		3 * time.Second:        {1, 1, 10, 0}, // one event at least, or nothing gets on
		time.Minute:            {1, 1, 1, 0},
	} {
		p.each.Store(int64(each))
		if got := [3]int{p.most(false, 0), p.most(false, 1), p.most(true, 0)}; got != [3]int(want[:3]) {
			t.Errorf("%v an event: %d, want %d", each, got, want)
		}
		if short := want[3]; short > 0 && !p.short(short) || p.short(short+1) {
			t.Errorf("%v an event: %d are not what others may wait for", each, short)
		}
	}
}

// What Apply takes counts, and not what the database does.
func TestPace_measures_Apply_alone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pace
		database := func(context.Context, *pgx.Batch) error { <-time.After(time.Hour); return nil }
		measure := func(events int, apply time.Duration, err error) {
			t.Helper()
			got := p.measure(events, database, func(send table.Send) error {
				<-time.After(apply)
				return errors.Join(send(t.Context(), nil), err)
			})
			if (got != nil) != (err != nil) {
				t.Errorf("%v, want %v", got, err)
			}
		}
		want := func(each time.Duration) {
			t.Helper()
			if got := time.Duration(p.each.Load()); got != each {
				t.Errorf("%v an event, want %v", got, each)
			}
		}
		measure(20, 2*time.Second, nil)
		want(100 * time.Millisecond)
		measure(20, 2*time.Minute, errors.New("no"))
		measure(0, 2*time.Minute, nil)
		want(100 * time.Millisecond)
		measure(1, quick-1, nil) // it tells nothing
		want(0)
		measure(1, quick, nil)
		want(quick)
	})
}
