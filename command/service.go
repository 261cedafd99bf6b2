package command

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/reactions"
	"github.com/asof-dev/asof/es/schema/registry"
	"github.com/asof-dev/asof/migrations"
	"github.com/asof-dev/asof/projections"
)

// Service describes a service to its commands. Only Name is needed; a command that
// lacks a part says so.
type Service struct {
	// Name of the service and of its command: "orders".
	Name string
	// Short says in a line what the service does, for the help.
	Short string
	// Schema of the store's tables; "asof" by default.
	Schema string
	// Source is the ce_source of published events; "/" and Name by default.
	Source string
	// Migrations are the service's own tables, made after the framework's.
	Migrations []migrations.Set
	// Aggregates are what `state` can fold.
	Aggregates []Aggregate
	// Projections are the read models, for `project`, `rebuild` and `rollback`.
	Projections []projections.Definition
	// Reactions returns what the service does of messages, for `dead-letters` and `status`:
	// on the session's Store, without a Kafka, which it does not need for that.
	Reactions func(s *Session) []*reactions.Reactor
	// Contracts are those that the service's events are written by, for `contracts`.
	Contracts []registry.Declared
	// Kafka holds what a cluster of production asks for: TLS, a login. Brokers,
	// ClientID and Logger are filled in when they are empty.
	Kafka kafka.Config
	// TopicPrefix stands before a category to make its topic's name; usually empty.
	TopicPrefix string
	// Relay changes how `relay` publishes, such as into how many partitions.
	Relay []outbox.Option
}

func (s Service) schema() string {
	if s.Schema == "" {
		return "asof"
	}
	return s.Schema
}

func (s Service) source() string {
	if s.Source == "" {
		return "/" + s.Name
	}
	return s.Source
}

// Migrate makes or upgrades the service's tables, as `migrate` does.
func (s Service) Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	return migrations.Up(ctx, pool, s.sets()...)
}

// sets are all migrations, the framework's first.
func (s Service) sets() []migrations.Set {
	return append([]migrations.Set{migrations.Framework(s.schema())}, s.Migrations...)
}
