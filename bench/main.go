// Command bench measures Asof against the raw limits: what the same rows, or the
// same messages, cost with bare pgx and bare kafka-go in the same run.
//
//	go run ./bench
//	go run ./bench -only 'append|read' -rounds 15 -grown 1000000
//
// It starts a Postgres and a broker of its own in a directory that it removes at
// the end, with durable settings; DATABASE_URL and KAFKA_BROKERS name others
// instead. Both sides of a comparison take turns, round by round, so that a
// machine which does other work at the same time slows both. What counts is the
// ratio, not the rate.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are what the flags say.
type settings struct {
	rounds    int
	round     time.Duration
	events    int
	grown     int
	projected int
	only      *regexp.Regexp
	dir       string
	profile   string
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&s.rounds, "rounds", 9, "rounds of each comparison")
	flags.DurationVar(&s.round, "round", 500*time.Millisecond, "how long a side of a round appends")
	flags.IntVar(&s.events, "events", 50_000, "events that a side of a round reads or publishes")
	flags.IntVar(&s.grown, "grown", 100_000, "events of the long log that is compared with one of 10,000")
	flags.IntVar(&s.projected, "projected", 200_000, "events that a side of a round projects")
	only := flags.String("only", "", "run the sections whose names match this `regexp`: append, batch, read, poll, rebuild, follow, fresh, relay, growth, cost")
	flags.StringVar(&s.dir, "dir", "", "directory for the data (default: a temporary one on the disk of the system's)")
	flags.StringVar(&s.profile, "cpuprofile", "", "write a CPU profile of the whole run to this `file`")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.rounds < 1 || s.events < 1000 || s.grown < 1000 || s.projected < 1000 {
		return s, errors.New("give at least 1 round and 1000 events")
	}
	var err error
	s.only, err = regexp.Compile(*only)
	return s, err
}

// section is one table of the report.
type section struct {
	name string
	run  func(ctx context.Context, w *world, s settings, r *report) error
}

func sections() []section {
	return []section{
		{"append", benchAppend},
		{"batch", benchBatch},
		{"read", benchRead},
		{"poll", benchPoll},
		{"rebuild", benchRebuild},
		{"follow", benchFollow},
		{"fresh", benchFresh},
		{"relay", benchRelay},
		{"growth", benchGrowth},
		{"cost", benchCost},
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	s, err := parse(args)
	if err != nil {
		return err
	}
	w, err := newWorld(ctx, s.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if s.profile != "" {
		stop, err := startProfile(s.profile)
		if err != nil {
			return err
		}
		defer stop()
	}
	version, err := w.serverVersion(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "PostgreSQL %s, %s, %d CPUs; events of %d bytes\n", version, runtime.Version(), runtime.NumCPU(), len(payload()))
	fmt.Fprintf(out, "medians of %d rounds; ratio: of each round's two rates, median (middle half);\nby CPU: of what an event costs the processors of database and client\n", s.rounds)
	r := &report{out: out, rounds: s.rounds, cpu: func() time.Duration { return cpuTime(w.stack.PostgresPID()) }}
	for _, section := range sections() {
		if !s.only.MatchString(section.name) {
			continue
		}
		fmt.Fprintf(out, "\n%s\n", section.name)
		if err := section.run(ctx, w, s, r); err != nil {
			return fmt.Errorf("%s: %w", section.name, err)
		}
	}
	return nil
}

func startProfile(path string) (stop func(), err error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		if err := file.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: write the profile:", err)
		}
	}, nil
}
