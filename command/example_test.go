package command_test

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/command"
)

// greeting is a result: as JSON by encoding/json, as text by itself.
type greeting struct {
	Hello string `json:"hello"`
}

func (g greeting) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "Hello, %s.\n", g.Hello)
	return err
}

// A service mounts the commands in its own binary, beside commands of its own that have
// the same flags, output and exit codes. Its main calls command.Main(root).
func Example() {
	service := command.Service{Name: "ledger", Short: "Keeps accounts"}
	root := command.New(service)
	root.AddCommand(&cobra.Command{Use: "greet NAME", Args: cobra.ExactArgs(1), RunE: service.Plain( // Action where it needs the store
		func(_ context.Context, s *command.Session, args []string) error {
			return s.Out.Line(greeting{Hello: args[0]})
		})})
	for _, args := range [][]string{{"greet", "Ann"}, {"greet", "Ann", "-o", "json"}, {"status"}} {
		code := command.Run(context.Background(), root, command.Invocation{Args: args, Stdout: os.Stdout, Stderr: io.Discard})
		fmt.Println(code == command.ExitOK)
	}
	// Output:
	// Hello, Ann.
	// true
	// {"hello":"Ann"}
	// true
	// false
}
