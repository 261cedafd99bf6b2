package projections_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/asof-dev/asof/projections"
)

// The bound is of the build, not of a batch: what a program has parked before counts, and
// what waits behind it, too.
func TestBound_of_what_is_parked_is_the_builds(t *testing.T) {
	t.Parallel()
	for what, append := range map[string]func(w *world, n int){
		"events that fail": func(w *world, n int) { w.append(name(n), Deposited{Cents: failsEverywhere}) },
		"events that wait": func(w *world, n int) {
			if n == 0 {
				w.append(name(0), Deposited{Cents: failsEverywhere})
			} else {
				w.append(name(0), Deposited{Cents: 100})
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := projections.New(w.store, poisonedBalances(new(atomic.Bool)), projections.WithParked(3), projections.WithBatch(1))
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- p.Run(within(t, patient)) }()
			for n := range 3 {
				append(w, n)
			}
			until(t, "three are parked", func() bool { s, err := p.Status(t.Context()); return err == nil && s.Parked == 3 })
			append(w, 3)
			if err := <-ended; !errors.Is(err, projections.ErrTooManyParked) {
				t.Errorf("got %v", err)
			}
			wantParked(t, p, w.store, 3)
		})
	}
}

// A batch of Kafka has several streams, each of which may be parked.
func TestKafka_what_waits_is_known_of_every_stream_of_a_batch(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	def := poisonedBalances(new(atomic.Bool))
	def.Categories = []string{c.category}
	p := c.projector(def)
	start(t, p)
	c.untilReading(p)
	for n := range 4 {
		c.append(name(n), Deposited{Cents: failsEverywhere})
	}
	first := c.history()
	c.publish(first...)
	c.untilRead(p)
	wantParked(t, p, c.store, 4)
	for n := range 4 {
		c.append(name(n), Deposited{Cents: 100})
	}
	messages := c.history()[len(first):]
	c.publish(messages...)
	c.untilRead(p)
	wantParked(t, p, c.store, 8)
	if n := c.number(`select count(*) from balances.balances`); n != 0 {
		t.Errorf("%d rows of streams that wait", n)
	}
}
