// Package serve is the command that runs a service: its HTTP API and its reaction.
//
//	func main() {
//		command.Main(serve.Root(orders.Service(), "127.0.0.1:8081", func(c serve.Config) serve.App { return orders.New(c) }))
//	}
package serve

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/services/internal/web"
)

// App is a service, ready to run.
type App interface {
	// Handler is its HTTP API.
	Handler() http.Handler
	// React handles messages until ctx ends, and returns nil then.
	React(ctx context.Context) error
}

// Root is the command of a service, with those of package command and `serve`, which
// makes the app when it is called and runs it until it is stopped. It listens on an
// address that a flag changes.
func Root(service command.Service, listen string, app func(Config) App) *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Answer HTTP requests and react to messages, until stopped", Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&listen, "listen", listen, "host:port of the HTTP API; port 0 takes a free one")
	cmd.PreRunE = func(*cobra.Command, []string) error { return checkFlag(listen) } // before a database is asked for
	cmd.RunE = service.Action(func(ctx context.Context, s *command.Session, _ []string) error {
		listener, err := listenOn(ctx, listen)
		if err != nil {
			return err
		}
		defer listener.Close()
		client, err := s.Kafka(ctx)
		if err != nil {
			return err
		}
		if err := s.Out.Line(listening{URL: "http://" + listener.Addr().String()}); err != nil {
			return err
		}
		return run(ctx, listener, app(Config{Store: s.Store, Kafka: client, TopicPrefix: service.TopicPrefix, Log: s.Log}))
	})
	root := command.New(service)
	root.AddCommand(cmd)
	return root
}

// run finishes what is under way when ctx ends, and returns nil. The API and the
// reaction each stop the other when they fail.
func run(ctx context.Context, listener net.Listener, app App) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return web.Serve(ctx, listener, app.Handler()) })
	group.Go(func() error {
		err := app.React(ctx)
		if err == nil && ctx.Err() == nil {
			err = errors.New("serve: the reaction has ended though nobody stopped it, and the log says why: correct that and start again")
		}
		return err
	})
	return group.Wait()
}
