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
	Memory  int    `json:"memory"`  // of sales
}

// outcome is what a child prints.
type outcome struct {
	Events int           `json:"events"`
	Took   time.Duration `json:"took"`
	Peak   int64         `json:"peak"` // bytes of memory; 0: unknown
}

// What a child may take: rows of the whole log, or of a part of it; and GOMEMLIMIT, by which
// the garbage collector runs more often where there is less room for it.
const (
	allRows  = 256 << 20
	someRows = 64 << 20
	softMost = "GOMEMLIMIT=448MiB"
)

// benchLarge prints rates and the peak memory of the process over a long log: a rebuild of
// its first tenth, then of all of it where all rows have room and where they have not, the
// bare program that does the same, an as-of read, and a projector that follows. Each runs
// once.
func benchLarge(ctx context.Context, w *world, s settings, r *report) error {
	l, err := w.sales(ctx)
	if err != nil {
		return err
	}
	defer l.store.Pool().Close()
	if err := l.load(ctx, s.large/10); err != nil {
		return err
	}
	if err := l.measure(ctx, r, "rebuild of the first tenth", task{What: "rebuild", Memory: allRows}); err != nil {
		return err
	}
	l.version = 1 // as the child has built it
	if err := l.load(ctx, s.large-s.large/10); err != nil {
		return err
	}
	for _, x := range []struct {
		name string
		task
	}{
		{"live", task{What: "live"}},
		{"rebuild", task{What: "rebuild", Memory: allRows}},
		{"rebuild in parts", task{What: "rebuild", Memory: someRows}},
		{"bare scan, fold and copy", task{What: "bare"}},
		{"asof", task{What: "asof", Memory: allRows}},
	} {
		if err := l.measure(ctx, r, x.name, x.task); err != nil {
			return err
		}
		if x.What == "rebuild" {
			l.version++
		}
	}
	return l.same(ctx)
}

// measure prints what a child has done.
func (l *sales) measure(ctx context.Context, r *report, name string, t task) error {
	out, err := l.inChild(ctx, t)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	peak := "unknown"
	if out.Peak > 0 {
		peak = fmt.Sprintf("%.0f MB", float64(out.Peak)/(1<<20))
	}
	_, err = fmt.Fprintf(r.out, "%-30s %8.0f/s   %d events in %.1f s, peak memory of the process %s\n", name,
		float64(out.Events)/out.Took.Seconds(), out.Events, out.Took.Seconds(), peak)
	return err
}

func (l *sales) inChild(ctx context.Context, t task) (out outcome, err error) {
	t.URL, t.Loaded, t.Version = l.store.Pool().Config().ConnString(), l.loaded, l.version
	text, err := json.Marshal(t)
	if err != nil {
		return out, err
	}
	program, err := os.Executable()
	if err != nil {
		return out, err
	}
	child := exec.CommandContext(ctx, program)
	child.Env, child.Stderr = append(os.Environ(), childEnv+"="+string(text), softMost), os.Stderr
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
	l.loaded, l.version, l.memory = t.Loaded, t.Version, t.Memory
	run, known := map[string]func(context.Context) (done, error){
		"live": l.follow, "rebuild": l.rebuild, "bare": l.rebuildBare, "asof": l.asOf,
	}[t.What]
	if !known {
		return outcome{}, fmt.Errorf("nobody can %q", t.What)
	}
	resetPeak()
	d, err := run(ctx)
	return outcome{Events: d.events, Took: d.took, Peak: peak()}, err
}
