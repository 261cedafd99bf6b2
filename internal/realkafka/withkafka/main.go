// Command withkafka runs a command against three Apache Kafka brokers:
//
//	withkafka go test ./es/kafka/...
//
// It starts them, sets ASOF_TEST_KAFKA_BROKERS to their addresses (host:port,
// separated by commas) for the command, and stops them when the command has
// ended, with whose exit code it ends. Where that variable is set already, the
// brokers that it names are used.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/asof-dev/asof/internal/realkafka"
)

const (
	brokersVariable = "ASOF_TEST_KAFKA_BROKERS"
	// commandWait is how long the command may take to end after a signal.
	commandWait = 30 * time.Second
	failed      = 1
	usage       = 2
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func run(command []string) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(command) == 0 {
		return usage, errors.New("withkafka: say what to run: withkafka COMMAND [ARGUMENT…]")
	}
	brokers := os.Getenv(brokersVariable)
	if brokers == "" {
		begin := time.Now()
		cluster, err := realkafka.Start(ctx, realkafka.Config{})
		if err != nil {
			return failed, fmt.Errorf("withkafka: %w", err)
		}
		defer func() {
			if closeErr := cluster.Close(); closeErr != nil {
				code, err = max(code, failed), errors.Join(err, closeErr)
			}
		}()
		brokers = strings.Join(cluster.Brokers(), ",")
		slog.InfoContext(ctx, "Apache Kafka is up", "brokers", brokers, "took", time.Since(begin).Round(time.Millisecond))
	}
	return execute(ctx, command, brokers)
}

// execute runs the command and returns its exit code.
func execute(ctx context.Context, command []string, brokers string) (int, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), brokersVariable+"="+brokers)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// On a terminal Ctrl-C has reached it already; a second one does no harm.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = commandWait
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode(), nil // the command has said why
	}
	if err != nil {
		return failed, fmt.Errorf("withkafka: %s: %w", command[0], err)
	}
	return 0, nil
}
