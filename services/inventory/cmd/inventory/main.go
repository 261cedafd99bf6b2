// Command inventory is the service that keeps stock: its HTTP API and reactions
// (serve), and the commands that every service of Asof has.
package main

import (
	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/services/internal/serve"
	"github.com/asof-dev/asof/services/inventory"
)

func main() {
	command.Main(serve.Root(inventory.Service(), "127.0.0.1:8082", func(c serve.Config) serve.App { return inventory.New(c) }))
}
