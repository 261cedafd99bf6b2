// Command orders is the service that takes orders: its HTTP API and reactions
// (serve), and the commands that every service of Asof has.
package main

import (
	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/services/internal/serve"
	"github.com/asof-dev/asof/services/orders"
)

func main() {
	command.Main(serve.Root(orders.Service(), "127.0.0.1:8081", func(c serve.Config) serve.App { return orders.New(c) }))
}
