package command

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es/pgstore"
)

// Session is what a command works with. It is closed when the command returns.
type Session struct {
	Pool  *pgxpool.Pool // on the service's database, which answered when the command began
	Store *pgstore.Store
	Log   *slog.Logger // to the standard error, as --output says
	Out   *Printer     // to the standard output, as --output says

	env map[string]string
}

// Getenv returns a variable of the command's environment.
func (s *Session) Getenv(name string) string { return s.env[name] }

// Action makes a cobra RunE for a command of the service's own, below the one that
// [New] returned:
//
//	root := command.New(service)
//	root.AddCommand(&cobra.Command{Use: "serve", RunE: service.Action(
//		func(ctx context.Context, s *command.Session, args []string) error { … })})
//	command.Main(root)
//
// Its ctx ends at the first SIGINT or SIGTERM; run returns nil when it then stopped
// as it should.
func (s Service) Action(run func(ctx context.Context, session *Session, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), &Session{}, args) }
}
