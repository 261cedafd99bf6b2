package projections_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// calls notes for which rows Apply runs.
type calls struct {
	mu     sync.Mutex
	now    int
	most   int              // at once
	by     map[string]int64 // last version by row
	broken []string         // what was not in order
}

func (c *calls) begin(row string, r es.Recorded) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++
	c.most = max(c.most, c.now)
	if int64(r.Version) <= c.by[row] {
		c.broken = append(c.broken, fmt.Sprintf("%s: version %d after %d", row, r.Version, c.by[row]))
	}
	c.by[row] = int64(r.Version)
}

func (c *calls) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
}

// An Apply that takes its time is called for several rows at once, of one row in the order of
// its events, without that anybody asks for it.
func TestApply_that_is_slow_is_called_for_several_rows_at_once(t *testing.T) {
	t.Parallel()
	for _, order := range []projections.Order{projections.LogOrder, projections.OneStream} {
		t.Run(order.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := &calls{by: map[string]int64{}}
			def := balances()
			def.Order = order
			inner := def.Apply
			def.Apply = func(row *Balance, e Event, r es.Recorded) {
				c.begin(r.Stream.ID, r)
				<-time.After(200 * time.Microsecond)
				inner(row, e, r)
				c.end()
			}
			for n := range 20 {
				for account := range 4 {
					w.append(name(account), Deposited{Cents: int64(n)}, Deposited{Cents: int64(n)})
				}
			}
			// The first of the pages shows that it is slow.
			if err := projections.New(w.store, def).Rebuild(t.Context(), projections.WithChunk(20)); err != nil {
				t.Fatal(err)
			}
			if c.most < 2 || c.most > 4*runtime.GOMAXPROCS(0) {
				t.Errorf("Apply was called for %d rows at once", c.most)
			}
			if len(c.broken) > 0 {
				t.Errorf("not in order: %s", c.broken)
			}
			w.wantBalances("balances.balances")
		})
	}
}

// One that is quick is not: it would only take longer.
func TestApply_that_is_quick_is_called_for_one_row_after_the_other(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &calls{by: map[string]int64{}}
	def := balances()
	inner := def.Apply
	def.Apply = func(row *Balance, e Event, r es.Recorded) {
		c.begin(r.Stream.ID, r)
		inner(row, e, r)
		c.end()
	}
	for account := range 20 {
		w.append(name(account), Deposited{Cents: 1})
	}
	p := projections.New(w.store, def)
	start(t, p)
	w.wait(p, w.append("a-1", Deposited{Cents: 1}))
	if c.most != 1 {
		t.Errorf("Apply was called for %d rows at once", c.most)
	}
}

// The batch ends with the first event of the log that cannot be applied, whichever row's fails
// first in time.
func TestApply_that_fails_for_several_rows_at_once_ends_with_the_first_event(t *testing.T) {
	t.Parallel()
	for what, takes := range map[string]func(es.Position) time.Duration{
		"the last is the quickest":  func(p es.Position) time.Duration { return time.Duration(40-p) * time.Millisecond },
		"the first is the quickest": func(p es.Position) time.Duration { return time.Duration(5*p) * time.Millisecond },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			def := balances()
			def.Apply, def.TryApply = nil, func(_ *Balance, _ Event, r es.Recorded) error {
				<-time.After(takes(r.Position))
				return errors.New("cannot be applied")
			}
			for account := range 8 {
				w.append(name(account), Deposited{Cents: 1})
			}
			err := projections.New(w.store, def, projections.WithBeside(8)).Rebuild(t.Context())
			var event *projections.EventError
			if !errors.As(err, &event) || event.Event.Position != 1 {
				t.Errorf("%v", err)
			}
		})
	}
}

// What is parked is shown in the order of the log, as if one row had been changed after the
// other.
func TestApply_that_fails_for_several_rows_at_once_parks_in_order(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := balances()
	def.Order = projections.OneStream
	inner := def.Apply
	def.Apply, def.TryApply = nil, func(row *Balance, e Event, r es.Recorded) error {
		<-time.After(time.Duration(40-r.Position) * time.Millisecond)
		if r.Version == 2 {
			return errors.New("cannot be applied")
		}
		inner(row, e, r)
		return nil
	}
	for account := range 4 {
		w.append(name(account), Deposited{Cents: 1}, Deposited{Cents: 2}, Deposited{Cents: 3})
	}
	p := projections.New(w.store, def, projections.WithBeside(4))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	units, err := projections.ListParked(t.Context(), w.store, p.Name())
	if err != nil {
		t.Fatal(err)
	}
	var positions []es.Position
	for _, u := range units {
		positions = append(positions, u.Event.Position)
	}
	if want := []es.Position{2, 3, 5, 6, 8, 9, 11, 12}; !slices.Equal(positions, want) {
		t.Errorf("parked: %v, want %v", positions, want)
	}
	for account := range 4 {
		if n := w.number(`select cents from balances.balances where account = $1`, name(account)); n != 1 {
			t.Errorf("%s has %d", name(account), n)
		}
	}
}
