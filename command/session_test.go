package command_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// inside runs f as a command of the service's own.
func (w *world) inside(f func(ctx context.Context, s *command.Session) error) {
	w.Helper()
	root := command.New(w.service)
	root.AddCommand(&cobra.Command{Use: "own", RunE: w.service.Action(func(ctx context.Context, s *command.Session, _ []string) error { return f(ctx, s) })})
	log := newBuffer()
	if code := command.Run(w.Context(), root, command.Invocation{Args: []string{"own"}, Env: w.env, Stdout: newBuffer(), Stderr: log}); code != command.ExitOK {
		w.Fatalf("exit code %d: %s", code, log)
	}
}

// All that the commands do is in the schema that the service names.
func TestCommands_work_in_the_services_schema(t *testing.T) {
	t.Parallel()
	w := emptyWorld(t)
	w.service.Schema = "ledger_store"
	w.store = pgstore.New(w.pool, pgstore.WithSchema("ledger_store"))
	w.must("migrate").has("ledger_store", "0001_events.sql")
	w.append("a-1", Opened{"ann"}, Deposited{7})
	w.must("log").has("account/a-1")
	w.must("state", "account", "a-1").has(`"balance": 7`)
	w.run("rebuild", "balances").exits(command.ExitOK)
	w.must("repair", "--from", "0")
	w.must("status").has("schema ledger_store")
	if n := w.number("select count(*) from pg_namespace where nspname = 'asof'"); n != 0 {
		t.Error("there is a schema asof too")
	}
	own := w.service
	w.service = service("order")
	w.service.Schema = "ledger_store"
	w.run("rebuild", "balances").exits(command.ExitUsage).has("another service's", "ledger_store")
	w.service = own
	w.inside(func(_ context.Context, s *command.Session) error {
		if s.Store.Schema() != "ledger_store" {
			return errors.New(s.Store.Schema())
		}
		return nil
	})
}

// What the service says of its topics holds for relay and projectors.
func TestRelay_and_project_do_as_the_service_says(t *testing.T) {
	t.Parallel()
	w, category := withKafka(t)
	w.service.TopicPrefix, w.service.Relay = "shop.", []outbox.Option{outbox.WithPartitions(2)}
	data := es.EventData{ID: es.NewID(), Type: "account.opened", Data: []byte(`{"Owner":"ann"}`)}
	if _, err := w.store.Append(t.Context(), es.StreamID{Category: category, ID: "a-1"}, es.Any, data); err != nil {
		t.Fatal(err)
	}
	relay := w.start("relay")
	until(t, "the event is published", func() bool { return w.status().Relay.Position == 1 })
	client, err := kafka.New(kafka.Config{Brokers: strings.Split(w.env["KAFKA_BROKERS"], ",")})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if n, err := client.Partitions(t.Context(), "shop."+category); err != nil || n != 2 {
		t.Errorf("%d partitions, %v", n, err)
	}
	project := w.start("project", "--from", "kafka")
	until(t, "the projector reads the topic with the prefix", func() bool {
		return strings.HasPrefix(w.status().Projections[0].Source, "kafka topic shop."+category)
	})
	project.interrupt().exits(command.ExitOK)
	relay.interrupt().exits(command.ExitOK)
}

func TestSession_has_connections_for_all_and_one_client(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["KAFKA_BROKERS"] = strings.Join(embeddedtest.Brokers(t), ",")
	w.service.Projections = nil
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		model := balances("account", 1)
		model.Name = name
		w.service.Projections = append(w.service.Projections, projections.Definition(model))
	}
	conns := func() (n int32) {
		w.inside(func(_ context.Context, s *command.Session) error { n = s.Pool.Config().MaxConns; return nil })
		return n
	}
	if n := conns(); n < 20 {
		t.Errorf("%d connections for 8 projectors", n)
	}
	w.env["DATABASE_URL"] += "&pool_max_conns=3"
	if n := conns(); n != 3 {
		t.Errorf("%d connections, where the address says 3", n)
	}
	w.inside(func(ctx context.Context, s *command.Session) error {
		first, err := s.Kafka(ctx)
		if err != nil {
			return err
		}
		if second, err := s.Kafka(ctx); err != nil || first != second {
			return errors.Join(errors.New("another client"), err)
		}
		return nil
	})
}
