package command_test

import (
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/migrations"
)

// A database that is named by mistake is another service's: nothing is built from its
// log, published from it, or removed. Looking at it is allowed.
func TestCommands_refuse_the_store_of_another_service(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"}) // an account
	own := service("order")
	own.Name = "shop"
	shop := *w
	shop.service = own
	shop.env = map[string]string{"DATABASE_URL": w.env["DATABASE_URL"], "KAFKA_BROKERS": strings.Join(embeddedtest.Brokers(t), ",")}
	tables := func() int64 { return w.number("select count(*) from pg_class where relkind in ('r', 'm', 'v')") }
	before := tables()
	for _, args := range []string{
		"rebuild balances", "rollback balances", "drop balances 1 --yes", "drop gone --yes", "project", "project --from kafka", "relay", "repair --from 0", "migrate", "migrate up", "migrate down asof --to 0 --yes",
	} {
		shop.run(strings.Fields(args)...).exits(command.ExitUsage).has("another service's", "events of account", "none of order", "DATABASE_URL")
	}
	ran := false
	root := command.New(own)
	root.AddCommand(&cobra.Command{Use: "serve", RunE: own.Action(func(context.Context, *command.Session, []string) error { ran = true; return nil })})
	code := command.Run(t.Context(), root, command.Invocation{Args: []string{"serve"}, Env: shop.env, Stdout: newBuffer(), Stderr: newBuffer()})
	if code != command.ExitUsage || ran {
		t.Errorf("a command of its own ended with %d, having run: %t", code, ran)
	}
	if after := tables(); after != before {
		t.Errorf("%d tables were %d", after, before)
	}
	if n := w.number("select count(*) from asof.builds"); n != 0 {
		t.Errorf("%d builds", n)
	}
	for _, args := range []string{"status", "log", "migrate status", "builds"} {
		shop.must(strings.Fields(args)...)
	}
	w.must("migrate")
	w.run("rebuild", "balances").exits(command.ExitOK)
}

// Whose a store is cannot be known when it is empty, when it has not even tables, and
// by a service that names no categories. A category in common is enough.
func TestCommands_take_a_store_that_may_be_theirs(t *testing.T) {
	t.Parallel()
	w := emptyWorld(t)
	w.must("migrate")
	w.run("rebuild", "balances").exits(command.ExitOK)
	w.append("a-1", Opened{"ann"})
	other := *w
	for name, own := range map[string]command.Service{
		"no code":     {Name: "shop"},
		"only tables": {Name: "shop", Migrations: []migrations.Set{}},
		"one of two":  {Name: "shop", Aggregates: append(service("order").Aggregates, service("account").Aggregates...)},
		"a read model": {
			Name: "shop", Aggregates: service("order").Aggregates, Projections: service("account").Projections,
		},
	} {
		other.service = own
		if o := other.run("repair", "--from", "0"); o.code != command.ExitOK {
			t.Errorf("%s: %d %s", name, o.code, o.err)
		}
	}
	everything := balances("account", 1)
	everything.Categories = nil
	other.service = service("order")
	other.service.Projections = append(other.service.Projections, everything)
	other.run("repair", "--from", "0").exits(command.ExitOK)
}
