package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
)

// The section large starts this program as its child.
func TestMain(m *testing.M) {
	if is, err := runChild(context.Background()); is {
		if err != nil {
			panic(err)
		}
		return
	}
	m.Run()
}

// Every section runs and prints rates; how high they are is not a test's business.
func TestRun_prints_every_section(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	args := []string{"-rounds", "1", "-round", "10ms", "-events", "1000", "-grown", "1000", "-projected", "1000", "-fresh", "200ms", "-warm", "200ms", "-large", "1000", "-only", "."}
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for name, lines := range map[string]int{"append": 3, "batch": 2, "read": 2, "poll": 2, "relay": 2, "growth": 2, "cost": 6, "rebuild": 2, "live": 1, "asof": 1, "freshness": 5,
		"extreme-streams": 2, "extreme-hot": 2, "extreme-wide": 2, "extreme-shared": 2, "extreme-late": 2, "lanes": 2, "large": 6} {
		section := regexp.MustCompile(`(?m)^` + name + `\n((?:.+[1-9].+\n)+)`).FindStringSubmatch(out.String())
		if section == nil || strings.Count(section[1], "\n") != lines {
			t.Errorf("section %s does not have %d lines in\n%s", name, lines, out.String())
		}
	}
}

func TestRun_refuses_what_makes_no_sense(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-rounds", "0"}, {"-events", "10"}, {"-only", "("}, {"-projected", "10"}, {"-large", "10"}, {"-fresh", "0s"}, {"-warm", "-1s"}} {
		if err := run(t.Context(), args, &strings.Builder{}); err == nil {
			t.Errorf("%v is not refused", args)
		}
	}
}
