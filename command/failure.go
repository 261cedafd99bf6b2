package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// failure is an error as --output json writes it.
type failure struct {
	Error failureBody `json:"error"`
}

type failureBody struct {
	Kind    string `json:"kind"`
	Code    int    `json:"code"`
	Message string `json:"message"`
	Command string `json:"command"`
}

// kindOf names an exit code in words.
func kindOf(code int) string {
	switch code {
	case ExitUsage:
		return "usage"
	case ExitNotFound:
		return "not_found"
	case ExitBusy:
		return "busy"
	case ExitUnreachable:
		return "unreachable"
	case ExitNotMigrated:
		return "not_migrated"
	case ExitInterrupted:
		return "interrupted"
	default:
		return "failure"
	}
}

// newFailure says what a command that returned err tells its caller.
func newFailure(cmd *cobra.Command, err error, interrupted bool) failure {
	code := ExitCode(err)
	message := withoutSecrets(strings.TrimPrefix(err.Error(), "command: "))
	if interrupted {
		code = ExitInterrupted
		if errors.Is(err, context.Canceled) && !isCoded(err) { // the text would only say "context canceled"
			message = "interrupted"
		}
	}
	return failure{failureBody{Kind: kindOf(code), Code: code, Message: message, Command: cmd.CommandPath()}}
}

func isCoded(err error) bool {
	var known *coded
	return errors.As(err, &known)
}

// WriteText writes the error for people.
func (f failure) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s: %s\n", f.Error.Command, indented(f.Error.Message))
	if err == nil && f.Error.Code == ExitUsage {
		_, err = fmt.Fprintf(w, "Try: %s --help\n", f.Error.Command)
	}
	return err
}
