package command

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
)

// Session is what a command works with. It is closed when the command returns.
type Session struct {
	Pool  *pgxpool.Pool // on the service's database, which answered when the command began
	Store *pgstore.Store
	Log   *slog.Logger // to the standard error, as --output says
	Out   *Printer     // to the standard output, as --output says

	service  Service
	settings settings
	kafka    *kafka.Client // nil until asked for
}

// DatabaseURL returns the address that the flag or the environment gives; it may hold
// a password.
func (s *Session) DatabaseURL() string { return s.settings.DatabaseURL }

// Brokers returns the brokers that the flag or the environment gives.
func (s *Session) Brokers() []string { return slices.Clone(s.settings.brokers) }

// TopicPrefix returns what stands before the names of the service's topics.
func (s *Session) TopicPrefix() string { return s.service.TopicPrefix }

// Getenv returns a variable of the command's environment.
func (s *Session) Getenv(name string) string { return s.settings.environment[name] }

// Action makes a cobra RunE for a command of the service's own, below the one that
// [New] returned:
//
//	root := command.New(service)
//	root.AddCommand(&cobra.Command{Use: "serve", RunE: service.Action(
//		func(ctx context.Context, s *command.Session, args []string) error { … })})
//	command.Main(root)
//
// Its ctx ends at the first SIGINT or SIGTERM; run returns nil when it then stopped
// as it should. Like all commands that write it is refused on the store of another
// service, which has events, and none of a category that this service's aggregates and
// projections name.
func (s Service) Action(run func(ctx context.Context, session *Session, args []string) error) func(*cobra.Command, []string) error {
	return s.action(true, func(ctx context.Context, session *Session, args []string) error {
		if err := session.ownIfMigrated(ctx); err != nil {
			return err
		}
		return run(ctx, session, args)
	})
}

// Plain makes a cobra RunE for a command that needs no database: its session has
// neither Pool nor Store.
func (s Service) Plain(run func(ctx context.Context, session *Session, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		session, err := s.begin(cmd, true)
		if err != nil {
			return err
		}
		return run(cmd.Context(), session, args)
	}
}

// action opens a session, runs and closes it. Lasting is for what runs until it is
// stopped.
func (s Service) action(lasting bool, run func(ctx context.Context, session *Session, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		session, err := s.open(cmd, lasting)
		if err != nil {
			return err
		}
		defer session.close()
		return run(cmd.Context(), session, args)
	}
}

// begin makes a session that has no database yet.
func (s Service) begin(cmd *cobra.Command, lasting bool) (*Session, error) {
	callOf(cmd).began = true // also where a command has a PersistentPreRun of its own
	settings, err := readSettings(cmd)
	if err != nil {
		return nil, err
	}
	level, err := settings.level(lasting)
	if err != nil {
		return nil, err
	}
	return &Session{
		Out: &Printer{w: cmd.OutOrStdout(), json: settings.json}, Log: newLogger(cmd, settings.json, level),
		service: s, settings: settings,
	}, nil
}

func (s Service) open(cmd *cobra.Command, lasting bool) (*Session, error) {
	session, err := s.begin(cmd, lasting)
	if err != nil {
		return nil, err
	}
	config, err := s.poolConfig(session.settings.DatabaseURL, cmd.Name())
	if err != nil {
		return nil, err
	}
	if session.Pool, err = connect(cmd.Context(), config); err != nil {
		return nil, err
	}
	session.Store = pgstore.New(session.Pool, pgstore.WithSchema(s.schema()))
	return session, nil
}

func (s *Session) close() {
	if s.kafka != nil {
		if err := s.kafka.Close(); err != nil {
			s.Log.Warn("connections to Kafka not closed", "error", err)
		}
	}
	s.Pool.Close()
}

// Kafka returns a client of the brokers, one of which has answered. It is closed
// with the session. Call it from one goroutine.
func (s *Session) Kafka(ctx context.Context) (*kafka.Client, error) {
	if s.kafka != nil {
		return s.kafka, nil
	}
	config := s.service.Kafka
	if len(s.settings.brokers) > 0 {
		config.Brokers = s.settings.brokers
	}
	if len(config.Brokers) == 0 {
		return nil, usage("no brokers are given: set KAFKA_BROKERS or --%s; `asof dev` starts one and prints its address", flagBrokers)
	}
	if config.ClientID == "" {
		config.ClientID = s.service.Name
	}
	if config.Logger == nil {
		config.Logger = s.Log
	}
	client, err := kafka.New(config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	s.kafka = client
	return client, nil
}

func newLogger(cmd *cobra.Command, json bool, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if json {
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), options))
	}
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), options))
}
