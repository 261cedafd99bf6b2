// Command inventory is the service that keeps stock: its HTTP API and reactions
// (serve), and the commands that every service of Asof has.
package main

import (
	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/services/internal/serve"
	"github.com/asof-dev/asof/services/inventory"
)

func main() { command.Main(root()) }

func root() *cobra.Command {
	service := inventory.Service()
	cmd := command.New(service)
	cmd.AddCommand(serve.Command(service, "127.0.0.1:8082", func(s *command.Session, client *kafka.Client) serve.App {
		return inventory.New(inventory.Config{Store: s.Store, Kafka: client, TopicPrefix: service.TopicPrefix, Log: s.Log})
	}))
	return cmd
}
