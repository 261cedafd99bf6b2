// Command inventory is the service that keeps stock: its HTTP API and reactions
// (serve), and the commands that every service of Asof has.
package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/services/internal/web"
	"github.com/asof-dev/asof/services/inventory"
)

func main() { command.Main(root()) }

func root() *cobra.Command {
	service := inventory.Service()
	cmd := command.New(service)
	serve := &cobra.Command{
		Use: "serve", Short: "Answer HTTP requests and react to orders, until stopped", Args: cobra.NoArgs,
	}
	listen := serve.Flags().String("listen", "127.0.0.1:8082", "host:port of the HTTP API; port 0 takes a free one")
	serve.RunE = service.Action(func(ctx context.Context, s *command.Session, _ []string) error {
		client, err := s.Kafka(ctx)
		if err != nil {
			return err
		}
		listener, err := web.Listen(ctx, *listen)
		if err != nil {
			return err
		}
		defer listener.Close()
		if err := s.Out.Line(web.Listening{URL: "http://" + listener.Addr().String()}); err != nil {
			return err
		}
		return inventory.New(inventory.Config{Store: s.Store, Kafka: client, TopicPrefix: service.TopicPrefix, Log: s.Log}).Serve(ctx, listener)
	})
	cmd.AddCommand(serve)
	return cmd
}
