// Command bench measures Asof against the raw limits: what the same rows, or the
// same messages, cost with bare pgx and bare kafka-go in the same run.
//
//	go run ./bench
//	go run ./bench -only 'append|read' -rounds 15 -grown 1000000
//
// The sections append, batch, read, poll, relay, growth and cost are of the log and of
// Kafka. Those of projections keep a read model of a log of 10 events a stream, whose
// streams take turns, with a row of 5 columns a stream:
//
//   - rebuild: Rebuild, from counting the log to the switch, beside a program of one
//     thread that scans the events, decodes them, folds in a map, copies the rows and
//     then adds the primary key. Both tables are compared at the end.
//   - live: Run with a backlog until it is applied, beside a loop that reads pages of
//     1000, loads their rows, folds, and writes rows and checkpoint in a transaction.
//   - asof: the read model as of the end of the log, beside a rebuild.
//   - freshness: how long after an append was acknowledged its row can be read, at 1000
//     appends a second, from the log and through relay and broker, beside what a message
//     takes from a bare producer to a bare reader; and how many transactions a second a
//     process with projections begins that has nothing to do.
//
// With -cluster all that goes through Kafka goes through three Apache Kafka brokers, each
// topic three times replicated (needs a JDK 17 and Maven):
//
//	go run ./bench -only freshness -cluster -warm 1m
//
// Others run only when -only names them. Rebuild and live as above, where the log has
// 100 streams (extreme-streams), all events go to one row (extreme-hot), a row has 10 kB
// (extreme-wide), 10 streams feed a row (extreme-shared), or every answer of Postgres is
// 2 ms late (extreme-late); lanes, two projectors that share the two partitions of a topic
// beside one, where Apply sleeps for 100 µs, and one that calls it for several rows at once
// beside one that does not; and large, which prints the rates and the peak memory of the
// process that rebuilds the first tenth of 10,000,000 events, follows the others, rebuilds
// or reads the past of all, and that of the bare program:
//
//	go run ./bench -only 'rebuild|live|asof' -projected 1000000
//	go run ./bench -only extreme
//	go run ./bench -only large
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
	if is, err := runChild(ctx); is {
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench, child:", err)
			os.Exit(1)
		}
		return
	}
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
	large     int
	warm      time.Duration
	fresh     time.Duration
	cluster   bool
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
	flags.IntVar(&s.projected, "projected", 200_000, "events that a side of a round makes a read model of")
	flags.IntVar(&s.large, "large", 10_000_000, "events of the section large")
	flags.DurationVar(&s.warm, "warm", 5*time.Second, "how long freshness appends before it counts: brokers that have just begun compile what they do")
	flags.DurationVar(&s.fresh, "fresh", 5*time.Second, "how long freshness appends, and looks at idle projections")
	flags.BoolVar(&s.cluster, "cluster", false, "start three Apache Kafka brokers in place of the embedded one (needs a JDK 17 and Maven)")
	only := flags.String("only", "", "run the sections whose names match this `regexp`: append, batch, read, poll, relay, growth, cost, rebuild, live, asof, freshness; and if it is given, extreme-streams, extreme-hot, extreme-wide, extreme-shared, extreme-late, lanes, large")
	flags.StringVar(&s.dir, "dir", "", "directory for the data (default: a temporary one on the disk of the system's)")
	flags.StringVar(&s.profile, "cpuprofile", "", "write a CPU profile of the whole run to this `file`")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.rounds < 1 || s.fresh <= 0 || s.warm < 0 || min(s.events, s.grown, s.projected, s.large) < 1000 {
		return s, errors.New("give at least 1 round, 1000 events and some time")
	}
	var err error
	s.only, err = regexp.Compile(*only)
	return s, err
}

// section is one table of the report.
type section struct {
	name  string
	asked bool // runs only when -only names it
	run   func(ctx context.Context, w *world, s settings, r *report) error
}

func sections() []section {
	list := []section{
		{name: "append", run: benchAppend},
		{name: "batch", run: benchBatch},
		{name: "read", run: benchRead},
		{name: "poll", run: benchPoll},
		{name: "relay", run: benchRelay},
		{name: "growth", run: benchGrowth},
		{name: "cost", run: benchCost},
		{name: "rebuild", run: benchRebuild},
		{name: "live", run: benchLive},
		{name: "asof", run: benchAsOf},
		{name: "freshness", run: benchFreshness},
	}
	for _, x := range extremes() {
		list = append(list, section{name: x.name, run: x.run, asked: true})
	}
	return append(list, section{name: "lanes", run: benchLanes, asked: true}, section{name: "large", run: benchLarge, asked: true})
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	s, err := parse(args)
	if err != nil {
		return err
	}
	start := newWorld
	if s.cluster {
		start = newWorldOnCluster
	}
	w, err := start(ctx, s.dir)
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
	fmt.Fprintf(out, "PostgreSQL %s, %s, %d CPUs; events of %d bytes, of projections 170\n", version, runtime.Version(), runtime.NumCPU(), len(payload()))
	fmt.Fprintf(out, "medians of %d rounds, of %d of projections; ratio: of each round's two rates, median (middle half);\nby CPU: of what an event costs the processors of database and client\n", s.rounds, slowRounds(s.rounds))
	r := &report{out: out, rounds: s.rounds, cpu: func() time.Duration { return cpuTime(w.stack.PostgresPID()) }}
	for _, section := range sections() {
		if !s.only.MatchString(section.name) || section.asked && s.only.String() == "" {
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
