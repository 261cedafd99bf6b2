// Package cli is the asof command: what it offers for any store, the shipped
// services, and the stack for development.
//
//	command.Main(cli.New(cli.Shipped()...))
package cli

import (
	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/services/inventory"
	"github.com/asof-dev/asof/services/orders"
)

// Shipped are the services that come with the framework.
func Shipped() []command.Service {
	return []command.Service{inventory.Service(), orders.Service()}
}

// New returns the asof command with those services below it.
func New(services ...command.Service) *cobra.Command {
	self := command.Service{Name: "asof", Short: "Operate event stores on Postgres and Kafka"}
	root := command.New(self)
	root.Long = "Operate event stores on Postgres and Kafka.\n\n" +
		"The commands for a store work on the database that DATABASE_URL names, whatever service it\n" +
		"is of. Rebuilding and folding need the service's code: they are below the services' names\n" +
		"here, and in your own services' binaries."
	const stores, shipped = "stores", "services"
	root.AddGroup(&cobra.Group{ID: stores, Title: "For a store:"}, &cobra.Group{ID: shipped, Title: "Of a service:"})
	for _, cmd := range root.Commands() {
		cmd.GroupID = stores
		if cmd.Name() == "relay" { // whose events these are is not known here
			_ = cmd.MarkFlagRequired("source") // it fails for a flag that does not exist only
			cmd.Flags().Lookup("source").DefValue = ""
		}
	}
	for _, service := range services {
		cmd := command.New(service)
		cmd.GroupID = shipped
		root.AddCommand(cmd)
	}
	root.AddCommand(newDev(self, services))
	return root
}
