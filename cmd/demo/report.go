package main

import (
	"errors"
	"fmt"
)

// report says what was verified, and keeps what did not hold.
type report struct{ failures []error }

// check prints a promise and whether it held, with what was found.
func (r *report) check(promise string, err error, found string, args ...any) {
	if err != nil {
		fmt.Printf("  ✗ %s: %v\n", promise, err)
		r.failures = append(r.failures, fmt.Errorf("%s: %w", promise, err))
		return
	}
	if found != "" {
		found = " (" + fmt.Sprintf(found, args...) + ")"
	}
	fmt.Printf("  ✓ %s%s\n", promise, found)
}

// verdict is nil when all held.
func (r *report) verdict() error {
	if len(r.failures) == 0 {
		return nil
	}
	return fmt.Errorf("%d of the promises did not hold: %w", len(r.failures), errors.Join(r.failures...))
}

func headline(text string) { fmt.Printf("\n%s\n", text) }
