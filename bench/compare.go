package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// side is one of two ways to do the same; run does it for a round.
type side struct {
	name    string
	prepare func(ctx context.Context) error // before each round, not measured; may be nil
	run     func(ctx context.Context) (done, error)
}

// done is what a round did.
type done struct {
	events int
	took   time.Duration
}

// measured is a side over all rounds.
type measured struct {
	rates []float64 // events a second
	costs []float64 // CPU seconds an event, of the database's processes and this one
}

func (m *measured) round(ctx context.Context, s side, cpu func() time.Duration, count bool) error {
	if s.prepare != nil {
		if err := s.prepare(ctx); err != nil {
			return fmt.Errorf("prepare %s: %w", s.name, err)
		}
	}
	before := cpu()
	d, err := s.run(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if count {
		m.rates = append(m.rates, float64(d.events)/d.took.Seconds())
		m.costs = append(m.costs, (cpu()-before).Seconds()/float64(d.events))
	}
	return nil
}

// compare lets two sides take turns, and prints the medians of their rates, of the
// rounds' ratios, and of the ratios of what they cost the processors. The latter
// hardly changes when the machine does other work too. The first round only warms
// up.
func (r *report) compare(ctx context.Context, name string, ours, raw side) error {
	var a, b measured
	for round := range r.rounds + 1 {
		turns := []func() error{
			func() error { return a.round(ctx, ours, r.cpu, round > 0) },
			func() error { return b.round(ctx, raw, r.cpu, round > 0) },
		}
		if round%2 == 1 { // whoever goes second finds another machine
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	ratios, costs := quotients(a.rates, b.rates), quotients(b.costs, a.costs)
	_, err := fmt.Fprintf(r.out, "%-30s %-5s %8.0f/s   %-22s %8.0f/s   ratio %.2f (%.2f to %.2f)   by CPU %.2f (%.2f to %.2f)\n", name,
		ours.name, quantile(a.rates, 0.5), raw.name, quantile(b.rates, 0.5),
		quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75),
		quantile(costs, 0.5), quantile(costs, 0.25), quantile(costs, 0.75))
	return err
}

// report is where the results go.
type report struct {
	out    io.Writer
	rounds int
	cpu    func() time.Duration // of the database's processes and this one
}

func quotients(a, b []float64) []float64 {
	list := make([]float64, len(a))
	for i := range a {
		list[i] = a[i] / b[i]
	}
	return list
}

// quantile returns the value below which the share q lies.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
