package main

import (
	"context"
	"fmt"
	"io"
	"slices"
)

// side is one of two ways to do the same; run does it for a round and returns how
// many times a second.
type side struct {
	name string
	run  func(ctx context.Context) (float64, error)
}

// compare lets two sides take turns, and prints the medians of their rates and of
// the rounds' ratios. The first round only warms up.
func compare(ctx context.Context, out io.Writer, rounds int, name string, ours, raw side) error {
	var rates, rawRates, ratios []float64
	for round := range rounds + 1 {
		first, second := ours, raw
		if round%2 == 1 { // whoever goes second finds another machine
			first, second = raw, ours
		}
		a, err := first.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, first.name, err)
		}
		b, err := second.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, second.name, err)
		}
		if round%2 == 1 {
			a, b = b, a
		}
		if round > 0 {
			rates, rawRates, ratios = append(rates, a), append(rawRates, b), append(ratios, a/b)
		}
	}
	_, err := fmt.Fprintf(out, "%-32s %-6s %9.0f/s   %-24s %9.0f/s   ratio %.2f (%.2f to %.2f)\n", name,
		ours.name, quantile(rates, 0.5), raw.name, quantile(rawRates, 0.5),
		quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75))
	return err
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
