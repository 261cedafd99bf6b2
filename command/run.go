package command

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Invocation is one call of a command.
type Invocation struct {
	Args   []string          // without the program's name
	Env    map[string]string // the environment
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// Run runs a command in this process, prints its error and returns its exit code.
func Run(ctx context.Context, cmd *cobra.Command, in Invocation) int {
	cmd.SetArgs(in.Args)
	cmd.SetIn(in.Stdin)
	cmd.SetOut(in.Stdout)
	cmd.SetErr(in.Stderr)
	if err := cmd.ExecuteContext(ctx); err != nil {
		return 1
	}
	return 0
}

// Main runs a command as the program: with its arguments and environment, until
// done or the first SIGINT or SIGTERM, and exits with its code.
func Main(cmd *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(Run(ctx, cmd, Invocation{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}))
}
