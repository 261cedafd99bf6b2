package gather_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/asof-dev/asof/projections/internal/gather"
)

// crowd has one item at work and others that came meanwhile.
type crowd struct {
	room   *gather.Room[int]
	refuse bool // what is done together

	mu     sync.Mutex
	groups [][]int
	done   []int
}

func (c *crowd) note(group ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.groups = append(c.groups, group)
}

func (c *crowd) do(t *testing.T, item int, alone func()) {
	t.Helper()
	err := c.room.Do(item, func(all []int) error {
		if c.refuse {
			return errors.New("not together")
		}
		c.note(all...)
		return nil
	}, func() error {
		alone()
		c.note(item)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = append(c.done, item)
}

// come lets items 1 to n come while 0 is at work, and waits for all.
func (c *crowd) come(t *testing.T, n int) {
	t.Helper()
	var wg sync.WaitGroup
	release := make(chan struct{})
	wg.Go(func() { c.do(t, 0, func() { <-release }) })
	synctest.Wait()
	for i := range n {
		wg.Go(func() { c.do(t, i+1, func() {}) })
	}
	synctest.Wait()
	close(release)
	wg.Wait()
	if len(c.done) != n+1 {
		t.Errorf("%d of %d are done", len(c.done), n+1)
	}
}

func TestRoom_does_together_what_came_while_another_was_at_work(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{room: gather.New(func([]int, int) bool { return true })}
		c.come(t, 9)
		if len(c.groups) != 2 || len(c.groups[1]) != 9 {
			t.Errorf("turns: %v, want one of 9 after the first", c.groups)
		}
	})
}

func TestRoom_keeps_groups_as_small_as_they_fit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{room: gather.New(func(group []int, _ int) bool { return len(group) < 4 })}
		c.come(t, 9)
		var sizes []int
		for _, g := range c.groups {
			sizes = append(sizes, len(g))
		}
		if !slices.Equal(sizes, []int{1, 4, 4, 1}) {
			t.Errorf("turns of %v", sizes)
		}
	})
}

func TestRoom_does_each_alone_when_together_fails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{room: gather.New(func([]int, int) bool { return true }), refuse: true}
		c.come(t, 9)
		if len(c.groups) != 10 {
			t.Errorf("turns: %v, want one for each", c.groups)
		}
		c.refuse, c.groups, c.done = false, nil, nil // it goes on as before
		c.come(t, 3)
		if len(c.groups) != 2 {
			t.Errorf("turns after that: %v", c.groups)
		}
	})
}

func TestRoom_returns_the_error_of_who_is_alone(t *testing.T) {
	t.Parallel()
	why := errors.New("why")
	room := gather.New(func([]int, int) bool { return true })
	if err := room.Do(1, func([]int) error { return nil }, func() error { return why }); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}
