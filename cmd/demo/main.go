// Command demo runs the shipped services on the embedded stack, as the processes
// that they are in production.
//
//	demo        drive thousands of orders through the HTTP API, kill -9 what can be
//	            killed, and verify what Asof promises; exit 0 only if all of it held,
//	            130 if it was stopped by Ctrl-C
//	demo run    keep the stack and the services up until Ctrl-C
//
// It needs the go command, which builds the programs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once
	forgetOtherServers()
	err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	os.Exit(exitCode(err))
}

// errInterrupted: it was stopped before it had shown what it is to show.
var errInterrupted = errors.New("stopped before the end; nothing is left behind")

const exitInterrupted = 130 // of the services' commands too

func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	}
	return 1
}

// options are the flags.
type options struct {
	keep    bool // demo run
	dir     string
	orders  int
	clients int
}

func parse(args []string) (options, error) {
	var o options
	if len(args) > 0 && args[0] == "run" {
		o.keep, args = true, args[1:]
	}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", "", "keep the data here (default: of `demo run` where `asof dev` keeps it, of `demo` nowhere)")
	flags.IntVar(&o.orders, "orders", 3000, "how many orders the demo drives")
	flags.IntVar(&o.clients, "clients", 48, "how many HTTP clients at once")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.orders < 100 || o.clients < 1 {
		return o, errors.New("usage: demo [run] [-dir DIR] [-orders N] [-clients N], with 100 orders or more")
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := sweep(ctx, os.TempDir()); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err) // no reason not to run
	}
	home, err := newHome(os.TempDir())
	if err != nil {
		return err
	}
	err = runIn(ctx, home, o)
	switch {
	case err == nil, errors.Is(err, errInterrupted):
		return errors.Join(err, home.discard())
	}
	return errors.Join(fmt.Errorf("%w\n(what tells why is kept in %s: look, and remove it)", err, home.dir), home.keep())
}

// runIn starts the stack, does what is asked, and stops the stack.
func runIn(ctx context.Context, home *home, o options) error {
	began := time.Now()
	s, err := startStack(ctx, home, o)
	up := err == nil
	switch {
	case up && o.keep:
		err = keep(ctx, s)
	case up:
		err = demonstrate(ctx, s, o)
	}
	closeErr := s.close(o.keep || ctx.Err() != nil)
	if err != nil && ctx.Err() != nil {
		// How a process ends that was stopped while it started is no failure.
		return errInterrupted
	}
	if err := errors.Join(err, closeErr); err != nil || o.keep {
		return err
	}
	fmt.Printf("\nAll of it held. %s in all.\n", time.Since(began).Round(100*time.Millisecond))
	return nil
}

// keep waits for Ctrl-C, or for a process to end by itself.
func keep(ctx context.Context, s *stack) error {
	fmt.Printf(`
Everything is up. Try:

  curl --json '{"reference":"d-1","quantity":100}' %[2]s/products/apple/receipts
  curl --json '{"customer":"ann","items":[{"product":"apple","quantity":2,"price_cents":150}]}' %[1]s/orders
  curl %[1]s/customers
  DATABASE_URL='%[3]s' %[4]s/orders status

Kafka is at %[5]s. Ctrl-C stops all.
`, s.orders.url, s.inventory.url, s.ready.Databases["orders"], s.bin, s.ready.Brokers[0])
	select {
	case <-ctx.Done():
		return nil
	case p := <-s.ended:
		return fmt.Errorf("%s ended by itself: %w", p.name, p.err)
	}
}
