package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/embedded"
)

func newDev(self command.Service, services []command.Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "dev", Short: "Start a Postgres and a Kafka for development, until stopped",
		Long: "Start a Postgres and a Kafka for development, with a migrated database for every service,\n" +
			"and print their addresses. The data stays in a directory, and the ports stay the same. A\n" +
			"server that DATABASE_URL or KAFKA_BROKERS names is used instead of an own one: it must\n" +
			"answer, and nothing is made on it but the databases, if --databases asks for them.\n\n" +
			"With --output json one line is printed when all is ready:\n" +
			`{"database_url":"…","databases":{"orders":"…"},"brokers":["…"]}`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return command.WithCode(command.ExitUsage, fmt.Errorf("dev takes no arguments, and got %q", args))
			}
			return nil
		},
	}
	dir := cmd.Flags().String("dir", "", "where the data is kept (ASOF_DIR); default ~/.local/state/asof, as root /var/lib/asof")
	databases := cmd.Flags().Bool("databases", false, "make and migrate the services' databases also on a server that DATABASE_URL names")
	cmd.RunE = self.Plain(func(ctx context.Context, session *command.Session, _ []string) error {
		d := dev{session: session}
		if session.DatabaseURL() == "" || *databases {
			d.services = services
		}
		return d.run(ctx, *dir)
	})
	return cmd
}

// dev is one call of `asof dev`.
type dev struct {
	session  *command.Session
	services []command.Service // those that get a database
}

// run starts the stack and keeps it up until ctx ends or its Postgres does.
func (d dev) run(ctx context.Context, dir string) error {
	if err := d.checkGiven(ctx); err != nil {
		return err
	}
	stack, err := embedded.Start(ctx, d.config(dir))
	if errors.Is(err, embedded.ErrInUse) {
		return command.WithCode(command.ExitBusy, err)
	}
	if err != nil {
		return err
	}
	return errors.Join(d.keep(ctx, stack), stack.Close())
}

// config is what embedded.FromEnv reads, from the command's own environment and
// flags.
func (d dev) config(dir string) embedded.Config {
	if dir == "" {
		dir = d.session.Getenv("ASOF_DIR")
	}
	return embedded.Config{
		Dir: dir, DatabaseURL: d.session.DatabaseURL(), Brokers: d.session.Brokers(),
		PostgresBin: d.session.Getenv("ASOF_PG_BIN"), CacheDir: d.session.Getenv("ASOF_CACHE"),
		Repository: d.session.Getenv("ASOF_PG_REPOSITORY"), Logger: d.session.Log,
	}
}

func (d dev) keep(ctx context.Context, stack *embedded.Stack) error {
	ready := readyView{
		DatabaseURL: stack.DatabaseURL(), Databases: map[string]string{}, Brokers: stack.Brokers(),
		givenPostgres: d.session.DatabaseURL() != "", givenKafka: len(d.session.Brokers()) > 0,
	}
	for _, service := range d.services {
		address, err := d.database(ctx, stack, service)
		if err != nil {
			return err
		}
		ready.Databases[service.Name] = address
	}
	if err := d.session.Out.Line(ready); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-stack.PostgresDone():
		if ctx.Err() != nil {
			return nil
		}
		return errors.New("asof: the Postgres of the stack has ended, though nobody stopped the stack: start it again, in the same directory; its log is postgres/postgres.log in that directory")
	}
}

// database makes and migrates a service's database.
func (d dev) database(ctx context.Context, stack *embedded.Stack, service command.Service) (string, error) {
	pool, err := stack.Pool(ctx, service.Name)
	if err != nil {
		return "", err
	}
	defer pool.Close()
	if err := service.Migrate(ctx, pool); err != nil {
		return "", err
	}
	return stack.Database(ctx, service.Name)
}
