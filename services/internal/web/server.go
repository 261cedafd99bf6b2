package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/asof-dev/asof/internal/wait"
)

const (
	// stopWait is how long requests may take when the server is asked to stop; then
	// their contexts end, and they have answerWait to say so.
	stopWait   = 10 * time.Second
	answerWait = 2 * time.Second
)

// Listen opens an address such as 127.0.0.1:8081; port 0 takes a free one.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("web: cannot listen on %s: choose another host:port: %w", address, err)
	}
	return listener, nil
}

// Serve answers requests until ctx ends; then it takes no new ones, finishes those
// under way and returns nil. The listener is closed.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	return serve(ctx, listener, handler, stopWait)
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler, grace time.Duration) error {
	serving, end := wait.Beyond(ctx, grace) // a request outlives ctx: it is finished
	defer end()
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), servingKey{}, serving)
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("web: serve: %w", err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace+answerWait)
	defer cancel()
	err := server.Shutdown(bounded)
	if err != nil {
		err = errors.Join(fmt.Errorf("web: requests were still under way after %s: %w", grace+answerWait, err), server.Close())
	}
	if failed := <-ended; !errors.Is(failed, http.ErrServerClosed) {
		err = errors.Join(err, failed)
	}
	return err
}
