package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"

	"github.com/asof-dev/asof/embedded/internal/kafkaserver"
	"github.com/asof-dev/asof/embedded/internal/pgbin"
	"github.com/asof-dev/asof/embedded/internal/pgserver"
	"github.com/asof-dev/asof/internal/dirlock"
)

// ErrInUse: another living process uses the directory. The text names both.
var ErrInUse = dirlock.ErrInUse

// Stack is a Postgres and a Kafka, each started by Start or given to it.
type Stack struct {
	config   Config
	postgres *pgserver.Server    // nil: Config.DatabaseURL
	kafka    *kafkaserver.Server // nil: Config.Brokers

	closing  sync.Once
	closeErr error
}

// The parts of Config.Dir.
const (
	postgresName = "postgres"
	kafkaName    = "kafka"
)

// Start starts what c does not give, and returns when both accept connections.
// The first start on a machine fetches PostgreSQL (15 MB; 25 on Windows, 71 on
// macOS), and the first one in a directory makes its data.
//
// A directory that another living process uses is refused with an [ErrInUse] that
// names the process, and so is, with another error, one made by another major
// version of PostgreSQL. ctx bounds the start alone: end the Stack with Close.
func Start(ctx context.Context, c Config) (*Stack, error) {
	stack, err := start(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	return stack, nil
}

func start(ctx context.Context, c Config) (*Stack, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Dir == "" && (c.DatabaseURL == "" || len(c.Brokers) == 0) {
		dir, err := defaultDir()
		if err != nil {
			return nil, err
		}
		c.Dir = dir
	}
	if c.DatabaseURL == "" || len(c.Brokers) == 0 {
		var err error
		if c.Dir, err = filepath.Abs(c.Dir); err != nil {
			return nil, err
		}
		// Before its parts: the directory must be right whichever of them fails.
		if err := pgserver.MakeDir(c.Dir, postgresName, kafkaName); err != nil {
			return nil, err
		}
	}
	stack := &Stack{config: c}
	if err := errors.Join(stack.startPostgres(ctx), stack.startKafka(ctx)); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w\n(files of another user lie in %s: run this as that user, give them to yourself by `sudo chown -R \"$(id -un)\" %s`, or choose another directory, ASOF_DIR)", err, c.Dir, c.Dir)
		}
		return nil, errors.Join(err, stack.close())
	}
	return stack, nil
}

func (s *Stack) startPostgres(ctx context.Context) error {
	c := s.config
	if c.DatabaseURL != "" {
		return nil
	}
	install, err := findPostgres(ctx, c)
	if err != nil {
		return err
	}
	s.postgres, err = pgserver.Start(ctx, pgserver.Config{
		Dir: filepath.Join(c.Dir, postgresName), Install: install, Port: c.PostgresPort, Logger: c.Logger,
	})
	return err
}

func findPostgres(ctx context.Context, c Config) (pgbin.Install, error) {
	cache := c.CacheDir
	if c.PostgresBin == "" {
		var err error
		if cache, err = pgbin.CacheDir(cache); err != nil {
			return pgbin.Install{}, err
		}
	}
	finder := pgbin.Finder{
		Bin: c.PostgresBin, Cache: cache, Repository: c.Repository,
		System: pgbin.SystemDirs(), Logger: c.Logger,
	}
	return finder.Find(ctx)
}

func (s *Stack) startKafka(ctx context.Context) (err error) {
	if len(s.config.Brokers) > 0 {
		return nil
	}
	s.kafka, err = kafkaserver.Start(ctx, kafkaserver.Config{
		Dir: filepath.Join(s.config.Dir, kafkaName), Port: s.config.KafkaPort, Logger: s.config.Logger,
	})
	return err
}

// Brokers are the host:port of the Kafka brokers. The embedded one is a
// cluster of one node: ask for a replication factor of 1 or of -1, its default.
// It creates no topic by mere use.
func (s *Stack) Brokers() []string {
	if s.kafka == nil {
		return slices.Clone(s.config.Brokers)
	}
	return s.kafka.Addrs()
}

// PostgresPID is the process of the embedded Postgres, 0 when there is none.
func (s *Stack) PostgresPID() int {
	if s.postgres == nil {
		return 0
	}
	return s.postgres.PID()
}

// PostgresDone is closed when the embedded Postgres has ended, however it did:
// whoever keeps a Stack up watches it. It is nil when there is none.
func (s *Stack) PostgresDone() <-chan struct{} {
	if s.postgres == nil {
		return nil
	}
	return s.postgres.Done()
}

// Close stops what Start started: sessions are ended, the data is left clean.
// It takes at most half a minute. A second call returns what the first did.
func (s *Stack) Close() error {
	s.closing.Do(func() {
		if err := s.close(); err != nil {
			s.closeErr = fmt.Errorf("embedded: %w", err)
		}
	})
	return s.closeErr
}

func (s *Stack) close() error {
	var errs []error
	if s.kafka != nil {
		errs = append(errs, s.kafka.Close())
	}
	if s.postgres != nil {
		errs = append(errs, s.postgres.Close())
	}
	return errors.Join(errs...)
}
