package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/asof-dev/asof/internal/dirlock"
	"github.com/asof-dev/asof/internal/ports"
	"github.com/asof-dev/asof/internal/wait"
)

// Start starts a server in c.Dir and returns when it accepts connections. The
// first start in a directory makes its data. What an ended program left
// running there is stopped first. The caller closes the Server.
func Start(ctx context.Context, c Config) (_ *Server, err error) {
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return nil, err
	}
	if err := MakeDir(c.Dir, dataName, passwordName, portName, logName, logName+".old", startedName, dirlock.FileName, initPattern, servicePattern); err != nil {
		return nil, err
	}
	if c.Dir, err = filepath.EvalSymlinks(c.Dir); err != nil {
		return nil, err
	}
	a, err := serverAccount(c.data())
	if err != nil {
		return nil, err
	}
	if err := errors.Join(a.canEnter(c.Dir), a.canEnter(c.Install.Dir)); err != nil {
		return nil, err
	}
	lock, err := dirlock.Acquire(c.Dir)
	if err != nil {
		return nil, err
	}
	server := &Server{config: c, account: a, lock: lock}
	if err := server.start(ctx); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return server, nil
}

func (s *Server) start(ctx context.Context) error {
	if err := retireLeftover(ctx, s.config); err != nil {
		return err
	}
	if err := s.prepareData(ctx); err != nil {
		return err
	}
	password, err := os.ReadFile(s.config.password())
	if err != nil {
		return fmt.Errorf("the password of %s is not to be had: put it back, or move %s away to begin with an empty database: %w", s.config.data(), s.config.Dir, err)
	}
	s.password = strings.TrimSpace(string(password))
	if err := s.launchOnPort(ctx); err != nil {
		return err
	}
	if err := ports.Write(s.config.portFile(), s.port); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// prepareData makes the data directory, or checks that the programs fit it.
func (s *Server) prepareData(ctx context.Context) error {
	c := s.config
	version, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(c.data()); err == nil {
			return fmt.Errorf("%s is there but is no PostgreSQL data directory: move it away", c.data())
		}
		if c.Template != "" {
			return copyTemplate(c, s.account)
		}
		return initialise(ctx, c, s.account)
	} else if err != nil {
		return err
	}
	if made := strings.TrimSpace(string(version)); made != strconv.Itoa(c.Install.Major) {
		return fmt.Errorf("%s was made by PostgreSQL %s and the programs in %s are PostgreSQL %s: "+
			"set ASOF_PG_BIN to the programs of version %s, or move %s away to begin with an empty database",
			c.data(), made, c.Install.Dir, c.Install.Version, made, c.Dir)
	}
	return nil
}

const (
	// backendsWait is how long the backends of a killed server may take to
	// notice, and rememberedWait how long the remembered port may be taken.
	backendsWait   = 20 * time.Second
	rememberedWait = 3 * time.Second
	retryEvery     = 50 * time.Millisecond
)

// launchOnPort launches on the configured port, the remembered one or a free
// one, and again while that may help.
func (s *Server) launchOnPort(ctx context.Context) error {
	remembered, err := ports.Read(s.config.portFile())
	if err != nil {
		return err
	}
	port, begin := s.config.Port, time.Now()
	if port == 0 {
		port = remembered
	}
	for {
		if port == 0 {
			if port, err = ports.Free(); err != nil {
				return err
			}
		}
		err := s.launch(ctx, port)
		failed := (*exitError)(nil)
		if !errors.As(err, &failed) {
			return err
		}
		switch waited := time.Since(begin); {
		case failed.oldBackends() && waited < backendsWait:
		case failed.portTaken() && waited < rememberedWait:
		case failed.portTaken() && s.config.Port == 0 && waited < backendsWait:
			s.config.logger().WarnContext(ctx, "the port of last time is taken, using another", "port", port, "dir", s.config.Dir)
			port = 0
		default:
			return err
		}
		if err := wait.For(ctx, retryEvery); err != nil {
			return err
		}
	}
}
