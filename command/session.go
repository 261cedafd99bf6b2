package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

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
func (s *Session) Brokers() []string { return slices.Clone(s.settings.Brokers) }

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
// as it should.
func (s Service) Action(run func(ctx context.Context, session *Session, args []string) error) func(*cobra.Command, []string) error {
	return s.action(true, run)
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
	if len(s.settings.Brokers) > 0 {
		config.Brokers = s.settings.Brokers
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

const (
	connectTimeout = 5 * time.Second  // to Postgres, for an address that sets none
	pingTimeout    = 10 * time.Second // for the first answer of a broker
)

// poolConfig reads the address. The sessions are named after the command, so that
// `status` can say who holds the log back.
func (s Service) poolConfig(address, command string) (*pgxpool.Config, error) {
	if address == "" {
		return nil, usage("no database is given: set DATABASE_URL or --%s; `asof dev` starts one and prints its address", flagDatabaseURL)
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil { // which may hold the password
		return nil, usage("the database's address does not parse: give postgres://user:password@host:port/database%s", reasonOf(err, address))
	}
	if config.ConnConfig.ConnectTimeout == 0 || !strings.Contains(address, "connect_timeout") {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if _, named := config.ConnConfig.RuntimeParams["application_name"]; !named {
		config.ConnConfig.RuntimeParams["application_name"] = s.Name + " " + command
	}
	if !strings.Contains(address, "pool_max_conns") {
		config.MaxConns = max(config.MaxConns, int32(2*len(s.Projections)+4))
	}
	return config, nil
}

// connect asks the database for an answer, so that a wrong address is an error at
// once, also of a command that would later go on trying.
func connect(ctx context.Context, config *pgxpool.Config) (*pgxpool.Pool, error) {
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, usage("the database's address: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, WithCode(ExitUnreachable, fmt.Errorf("command: the database cannot be reached: check that it runs and that DATABASE_URL is right: %w", err))
	}
	return pool, nil
}
