// Command asof operates event stores, runs the shipped services' commands, and
// starts a Postgres and a Kafka for development:
//
//	asof dev                          start the stack; it prints the addresses to set
//	asof status                       of the store that DATABASE_URL names, whosever it is
//	asof log order o-1                its events
//	asof orders rebuild summary       the commands of a shipped service, which need its code
//
// A service of your own mounts the same commands: see package command.
package main

import (
	"github.com/asof-dev/asof/cmd/asof/internal/cli"
	"github.com/asof-dev/asof/command"
)

func main() { command.Main(cli.New(cli.Shipped()...)) }
