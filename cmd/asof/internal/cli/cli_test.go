package cli_test

import (
	"testing"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/embedded/embeddedtest"
)

// The shipped services have all commands; asof itself has those that need no code,
// for the same stores.
func TestCommands_of_services_and_of_any_store(t *testing.T) {
	t.Parallel()
	env := map[string]string{"DATABASE_URL": embeddedtest.Database(t)}
	start(t, env, "status").exits(command.ExitNotMigrated)
	start(t, env, "orders", "migrate").exits(command.ExitOK, "0001_events.sql")
	start(t, env, "orders", "rebuild", "summary").exits(command.ExitOK, "summary version 1 is live")
	start(t, env, "orders", "rebuild", "nope").exits(command.ExitNotFound, "summary")
	start(t, env, "orders", "state", "order", "o-1").exits(command.ExitNotFound, "order/o-1")
	start(t, env, "orders", "status").exits(command.ExitOK, "orders: database", "customers")
	start(t, env, "status", "-o", "json").exits(command.ExitOK, `"service": "asof"`, `"name": "summary"`)
	start(t, env, "inventory", "rebuild", "summary").exits(command.ExitNotFound, "stock")
	start(t, env, "log").exits(command.ExitOK)
	start(t, env, "builds").exits(command.ExitOK, "summary")
	start(t, env, "verify", "summary").exits(command.ExitOK, "agrees")
	start(t, env, "dead-letters", "list", "summary").exits(command.ExitOK, "Nothing is parked")
	start(t, env, "dead-letters", "retry", "summary", "--all").exits(command.ExitNotFound, "the service's own command")
	start(t, env, "orders", "dead-letters", "retry", "summary", "--all").exits(command.ExitOK, "nothing was parked")
	start(t, env, "drop", "summary", "--yes").exits(command.ExitUsage, "the service's own command")
	start(t, env, "orders", "drop", "summary", "--yes").exits(command.ExitUsage, "orders has the read model")
	start(t, env, "rebuild", "summary").exits(command.ExitNotFound, "the service's own command")
	start(t, env, "state", "order", "o-1").exits(command.ExitNotFound, "log CATEGORY ID")
	start(t, env, "relay").exits(command.ExitUsage, `"source" not set`)
	start(t, env, "order").exits(command.ExitUsage, "did you mean orders")
	start(t, nil, "status").exits(command.ExitUsage, "DATABASE_URL", "asof dev")
	start(t, nil, "--help").exits(command.ExitOK, "For a store:", "Of a service:", "orders", "dev")
}
