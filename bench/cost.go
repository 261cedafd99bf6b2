package main

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/asof-dev/asof/es"
)

// benchCost counts what one append and one event read cost: round trips on the
// wire and allocations of this process.
func benchCost(ctx context.Context, w *world, s settings, r *report) error {
	store, err := storeWithBareTable(ctx, w)
	if err != nil {
		return err
	}
	defer store.Pool().Close()
	if err := fill(ctx, store, s.events, es.Metadata{}); err != nil {
		return err
	}
	one := func(write writeOne) func() (int, error) {
		return func() (int, error) {
			stream := newStream()
			for v := range streamLength {
				if err := write(ctx, stream, es.Version(v), newEvents(1, es.Metadata{})[0]); err != nil {
					return v, err
				}
			}
			return streamLength, nil
		}
	}
	many := func(write writeMany) func() (int, error) {
		return func() (int, error) {
			return streamLength, write(ctx, newStream(), newEvents(streamLength, es.Metadata{}))
		}
	}
	for _, c := range []struct {
		name string
		run  func() (int, error)
	}{
		{"append of one event", one(appendOne(store))},
		{"bare insert of one row", one(insertOne(store))},
		{"append of ten events", many(appendMany(store))},
		{"bare insert of ten rows", many(insertMany(store))},
		{"log read", func() (int, error) { n, _, err := readAll(ctx, store); return n, err }},
		{"bare scan", func() (int, error) { n, _, err := scanAll(ctx, store); return n, err }},
	} {
		if err := cost(w, r.out, c.name, 10*s.rounds, c.run); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// cost repeats run, which returns of how many events it took care, and prints the
// mean per event. What run did once before, such as to prepare a statement on one
// of the connections, still counts for the others: repeat it often.
func cost(w *world, out io.Writer, name string, times int, run func() (int, error)) error {
	var before, after runtime.MemStats
	events, trips := 0, int64(0)
	for i := range 2 * times { // the first half warms up
		if i == times {
			events, trips = 0, w.trips.Load()
			runtime.ReadMemStats(&before)
		}
		n, err := run()
		if err != nil {
			return err
		}
		events += n
	}
	runtime.ReadMemStats(&after)
	per := func(n float64) float64 { return n / float64(events) }
	_, err := fmt.Fprintf(out, "%-32s %7.3f round trips, %6.1f allocations, %6.0f bytes an event\n", name,
		per(float64(w.trips.Load()-trips)), per(float64(after.Mallocs-before.Mallocs)), per(float64(after.TotalAlloc-before.TotalAlloc)))
	return err
}
