package main

import (
	"testing"
)

// TestDemo is the demo itself, with fewer orders.
func TestDemo(t *testing.T) {
	t.Chdir("../..") // the demo builds the programs, in the project's folder
	if err := run(t.Context(), []string{"-orders", "150", "-clients", "16"}); err != nil {
		t.Fatal(err)
	}
}

func TestBad_flags_are_refused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-orders", "3"}, {"-clients", "0"}, {"walk"}, {"-nonsense"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
