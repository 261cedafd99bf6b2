// Package exampletest lets an Example use what is made for tests.
package exampletest

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

// T stands for the test that an Example does not have: what fails panics, and what is to be
// cleaned up is by End. The zero value is ready to use.
type T struct {
	testing.TB // for the methods that nobody calls
	cleanups   []func()
}

// Helper does nothing.
func (*T) Helper() {}

// Name is the same for all.
func (*T) Name() string { return "example" }

// Context does not end.
func (*T) Context() context.Context { return context.Background() }

// Cleanup keeps f for End.
func (t *T) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

// Error panics.
func (*T) Error(args ...any) { panic(fmt.Sprint(args...)) }

// Errorf panics.
func (*T) Errorf(text string, args ...any) { panic(fmt.Sprintf(text, args...)) }

// Fatal panics.
func (*T) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// Fatalf panics.
func (*T) Fatalf(text string, args ...any) { panic(fmt.Sprintf(text, args...)) }

// End does what is to be done at the end, the last thing first.
func (t *T) End() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}
