// Command ledger is a service outside of Asof's module: its own aggregate, read
// model and tables, with Asof's commands below its own.
package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/migrations"
	"github.com/asof-dev/asof/projections"
)

//go:embed sql/*.sql
var files embed.FS

var service = command.Service{
	Name:        "ledger",
	Short:       "Keeps accounts",
	Migrations:  []migrations.Set{{Schema: "ledger", Files: files, Dir: "sql"}},
	Aggregates:  []command.Aggregate{command.AggregateOf(decider)},
	Projections: []projections.Definition{balances},
}

func main() {
	root := command.New(service)
	root.AddCommand(
		&cobra.Command{Use: "open ID OWNER", Short: "Open an account", Args: cobra.ExactArgs(2), RunE: service.Action(
			func(ctx context.Context, s *command.Session, args []string) error {
				return decide(ctx, s, args[0], open(args[1]))
			})},
		&cobra.Command{Use: "deposit ID CENTS", Short: "Deposit money", Args: cobra.ExactArgs(2), RunE: service.Action(
			func(ctx context.Context, s *command.Session, args []string) error {
				cents, err := strconv.ParseInt(args[1], 10, 64)
				if err != nil {
					return command.WithCode(command.ExitUsage, fmt.Errorf("ledger: %q is not a number of cents", args[1]))
				}
				return decide(ctx, s, args[0], deposit(cents))
			})},
	)
	command.Main(root)
}

func decide(ctx context.Context, s *command.Session, id string, decision func(Account) ([]Event, error)) error {
	state, err := aggregates.New(s.Store, decider).Decide(ctx, id, decision)
	if err != nil {
		return err
	}
	return s.Out.Document(result{Account: id, Position: int64(state.Position), Balance: state.Value.Balance})
}

type result struct {
	Account  string `json:"account"`
	Position int64  `json:"position"`
	Balance  int64  `json:"balance"`
}

// WriteText makes result a command.View.
func (r result) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s has %d cents\n", r.Account, r.Balance)
	return err
}
