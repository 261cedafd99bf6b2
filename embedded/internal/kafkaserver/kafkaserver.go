// Package kafkaserver runs a broker that speaks Kafka's protocol in this
// process, on loopback: franz-go's kfake.
package kafkaserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/asof-dev/asof/internal/dirlock"
	"github.com/asof-dev/asof/internal/ports"
	"github.com/asof-dev/asof/internal/wait"
)

const (
	dataName = "data"
	portName = "port"
	// closeWait bounds Close.
	closeWait = 10 * time.Second
	// rememberedWait is how long the remembered port may be taken.
	rememberedWait = 3 * time.Second
	retryEvery     = 50 * time.Millisecond
)

// Config says where the broker listens and keeps its data.
type Config struct {
	Dir    string // data, port and lock; empty: nothing is kept
	Port   int    // 0: the one of last time, else a free one
	Nodes  int    // brokers of the cluster, with Dir always one
	Logger *slog.Logger
}

// Server is a running broker.
type Server struct {
	cluster  *kfake.Cluster
	addrs    []string // kept, since a closed cluster does not answer
	lock     *dirlock.Lock
	closing  sync.Once
	closeErr error
}

// Start starts a broker. Topics are never created by mere use, since the
// broker forgets such ones when its process is killed. The caller closes it.
func Start(ctx context.Context, c Config) (*Server, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Dir == "" {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(max(1, c.Nodes)), kfake.WithLogger(logger{c.Logger}))
		if err != nil {
			return nil, err
		}
		return &Server{cluster: cluster, addrs: cluster.ListenAddrs()}, nil
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := dirlock.Acquire(c.Dir)
	if err != nil {
		return nil, err
	}
	cluster, err := open(ctx, c)
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return &Server{cluster: cluster, addrs: cluster.ListenAddrs(), lock: lock}, nil
}

// open loads the data and listens on the configured, remembered or a free port.
func open(ctx context.Context, c Config) (*kfake.Cluster, error) {
	remembered, err := ports.Read(filepath.Join(c.Dir, portName))
	if err != nil {
		return nil, err
	}
	port := c.Port
	if port == 0 {
		port = remembered
	}
	cluster, port, err := listen(ctx, c, port)
	if err != nil {
		return nil, err
	}
	if err := ports.Write(filepath.Join(c.Dir, portName), port); err != nil {
		cluster.Close()
		return nil, err
	}
	return cluster, nil
}

func listen(ctx context.Context, c Config, port int) (*kfake.Cluster, int, error) {
	begin := time.Now()
	for {
		if port == 0 {
			var err error
			if port, err = ports.Free(); err != nil {
				return nil, 0, err
			}
		}
		cluster, err := kfake.NewCluster(kfake.Ports(port),
			kfake.DataDir(filepath.Join(c.Dir, dataName)), kfake.WithLogger(logger{c.Logger}))
		switch waited := time.Since(begin); {
		case err == nil:
			return cluster, port, nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return nil, 0, fmt.Errorf("start the broker in %s: %w", c.Dir, err)
		case waited < rememberedWait:
		case c.Port == 0:
			c.Logger.WarnContext(ctx, "the broker's port of last time is taken, using another", "port", port, "dir", c.Dir)
			port = 0
		default:
			return nil, 0, fmt.Errorf("port %d for the broker is taken: %w", port, err)
		}
		if err := wait.For(ctx, retryEvery); err != nil {
			return nil, 0, err
		}
	}
}

// Addrs are the brokers' host:port, also after Close.
func (s *Server) Addrs() []string { return slices.Clone(s.addrs) }

// Close writes what is not yet written, stops the broker and gives its
// directory up. A second call returns what the first did.
func (s *Server) Close() error {
	s.closing.Do(func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.cluster.Close()
		}()
		timer := time.NewTimer(closeWait)
		defer timer.Stop()
		select {
		case <-done:
			s.closeErr = s.lock.Release()
		case <-timer.C: // the lock stays: the broker may still write
			s.closeErr = fmt.Errorf("the broker did not stop within %s", closeWait)
		}
	})
	return s.closeErr
}

// logger passes the broker's warnings and errors on.
type logger struct{ to *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level { //nolint:exhaustive // the others are chatter
	case kfake.LogLevelError:
		l.to.Error("broker: " + fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.to.Warn("broker: " + fmt.Sprintf(format, args...))
	}
}
