package command

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/caarlos0/env/v11"
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
// The command is the one that [New] returned, or one that has it somewhere below.
func Run(ctx context.Context, cmd *cobra.Command, in Invocation) int {
	cmd.SetArgs(append([]string{}, in.Args...)) // nil would mean those of the process
	cmd.SetIn(in.Stdin)
	cmd.SetOut(in.Stdout)
	cmd.SetErr(in.Stderr)
	call := &call{env: in.Env}
	ran, err := cmd.ExecuteContextC(context.WithValue(ctx, callKey{}, call))
	if err == nil {
		return ExitOK
	}
	if !call.began && ExitCode(err) == ExitFailure {
		err = usage("%w", err) // cobra's, of arguments; nothing else tells it apart
	}
	f := newFailure(ran, err, ctx.Err() != nil)
	// When even this cannot be written there is nobody left to tell.
	_ = (&Printer{w: in.Stderr, json: asksForJSON(in.Args)}).Line(f)
	return f.Error.Code
}

// Main runs a command as the program: with its arguments and environment, until
// done or stopped by SIGINT or SIGTERM, and exits with its code.
func Main(cmd *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from then on a second signal ends the program at once
	os.Exit(Run(ctx, cmd, Invocation{
		Args: os.Args[1:], Env: env.ToMap(os.Environ()),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}

// asksForJSON looks for the flag itself, because an error may come before the flags
// are parsed.
func asksForJSON(args []string) bool {
	for i, arg := range args {
		if arg == "--" {
			return false
		}
		value, found := strings.CutPrefix(arg, "--output=")
		if !found && (arg == "--output" || arg == "-o") && i+1 < len(args) {
			value = args[i+1]
		} else if !found && !strings.HasPrefix(arg, "--") {
			value = strings.TrimPrefix(strings.TrimPrefix(arg, "-o"), "=")
			if !strings.HasPrefix(arg, "-o") {
				continue
			}
		}
		if value == outputJSON {
			return true
		}
	}
	return false
}

// call is what a command learns from Run and Run from it, by the context.
type call struct {
	env   map[string]string
	began bool // flags and arguments were right
}

type callKey struct{}

// callOf is of the process itself when the tree is run by other means than Run.
func callOf(cmd *cobra.Command) *call {
	if known, ok := cmd.Context().Value(callKey{}).(*call); ok {
		return known
	}
	return &call{env: env.ToMap(os.Environ())}
}
