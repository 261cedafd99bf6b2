package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es/pgstore"
)

// childEnv tells a process that it is the child of a benchmark, and what to do.
const childEnv = "ASOF_BENCH_CHILD"

// task is what a child does. It is a process of its own so that its memory is of
// nothing else.
type task struct {
	What    string `json:"what"`
	URL     string `json:"url"`
	Loaded  int    `json:"loaded"`  // of sales
	Version int    `json:"version"` // of sales
}

// outcome is what a child prints.
type outcome struct {
	Events int           `json:"events"`
	Took   time.Duration `json:"took"`
	Peak   int64         `json:"peak"` // bytes of memory; 0: unknown
}

// benchLarge prints rates and the peak memory of the process over a long log: following
// it, a rebuild, the bare program that does the same, and an as-of read. Each runs once.
func benchLarge(ctx context.Context, w *world, s settings, r *report) error {
	l, err := w.sales(ctx)
	if err != nil {
		return err
	}
	defer l.store.Pool().Close()
	if _, err := l.rebuild(ctx); err != nil { // what follows the log is not to build it
		return err
	}
	if err := l.load(ctx, s.large); err != nil {
		return err
	}
	for _, what := range []string{"live", "rebuild", "bare scan, fold and copy", "asof"} {
		out, err := l.inChild(ctx, what)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		peak := "unknown"
		if out.Peak > 0 {
			peak = fmt.Sprintf("%.0f MB", float64(out.Peak)/(1<<20))
		}
		_, err = fmt.Fprintf(r.out, "%-30s %8.0f/s   %d events in %.1f s, peak memory of the process %s\n", what,
			float64(out.Events)/out.Took.Seconds(), out.Events, out.Took.Seconds(), peak)
		if err != nil {
			return err
		}
	}
	return l.same(ctx)
}

func (l *sales) inChild(ctx context.Context, what string) (out outcome, err error) {
	text, err := json.Marshal(task{What: what, URL: l.store.Pool().Config().ConnString(), Loaded: l.loaded, Version: l.version})
	if err != nil {
		return out, err
	}
	program, err := os.Executable()
	if err != nil {
		return out, err
	}
	child := exec.CommandContext(ctx, program)
	child.Env, child.Stderr = append(os.Environ(), childEnv+"="+string(text)), os.Stderr
	printed, err := child.Output()
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(printed, &out)
}

// runChild does what a parent asks for, when there is one.
func runChild(ctx context.Context) (is bool, err error) {
	text, is := os.LookupEnv(childEnv)
	if !is {
		return false, nil
	}
	var t task
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return true, fmt.Errorf("%s: %w", childEnv, err)
	}
	out, err := t.run(ctx)
	if err != nil {
		return true, err
	}
	return true, json.NewEncoder(os.Stdout).Encode(out)
}

func (t task) run(ctx context.Context) (outcome, error) {
	pool, err := pgxpool.New(ctx, t.URL)
	if err != nil {
		return outcome{}, err
	}
	defer pool.Close()
	l := plainSales(pgstore.New(pool))
	l.loaded, l.version = t.Loaded, t.Version
	run, known := map[string]func(context.Context) (done, error){
		"live": l.follow, "rebuild": l.rebuild, "bare scan, fold and copy": l.rebuildBare, "asof": l.asOf,
	}[t.What]
	if !known {
		return outcome{}, fmt.Errorf("nobody can %q", t.What)
	}
	resetPeak()
	d, err := run(ctx)
	return outcome{Events: d.events, Took: d.took, Peak: peak()}, err
}
