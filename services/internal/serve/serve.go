// Package serve is the command that runs a service: its HTTP API and its reaction.
//
//	root := command.New(service)
//	root.AddCommand(serve.Command(service, "127.0.0.1:8081", func(s *command.Session, client *kafka.Client) serve.App {
//		return orders.New(orders.Config{Store: s.Store, Kafka: client, Log: s.Log})
//	}))
package serve

import (
	"context"
	"net"
	"net/http"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/services/internal/web"
)

// App is a service, ready to run.
type App interface {
	// Handler is its HTTP API.
	Handler() http.Handler
	// React handles messages until ctx ends, and returns nil then.
	React(ctx context.Context) error
}

// Command returns `serve`, which makes the app when it is called and runs it until it
// is stopped. It listens on an address that a flag changes.
func Command(service command.Service, listen string, app func(s *command.Session, client *kafka.Client) App) *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Answer HTTP requests and react to messages, until stopped", Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&listen, "listen", listen, "host:port of the HTTP API; port 0 takes a free one")
	cmd.RunE = service.Action(func(ctx context.Context, s *command.Session, _ []string) error {
		client, err := s.Kafka(ctx)
		if err != nil {
			return err
		}
		listener, err := web.Listen(ctx, listen)
		if err != nil {
			return err
		}
		defer listener.Close()
		if err := s.Out.Line(listening{URL: "http://" + listener.Addr().String()}); err != nil {
			return err
		}
		return run(ctx, listener, app(s, client))
	})
	return cmd
}

// run finishes what is under way when ctx ends, and returns nil. The API and the
// reaction each stop the other when they fail.
func run(ctx context.Context, listener net.Listener, app App) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return web.Serve(ctx, listener, app.Handler()) })
	group.Go(func() error { return app.React(ctx) })
	return group.Wait()
}
