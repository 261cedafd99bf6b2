package orders

import (
	"log/slog"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// Service describes the service to the commands of package command.
func Service() command.Service {
	return command.Service{
		Name:        "orders",
		Short:       "Takes orders, and has inventory reserve their items",
		Aggregates:  []command.Aggregate{command.AggregateOf(Decider)},
		Projections: []projections.Definition{Summary, Customers},
	}
}

// Config is what the service runs on.
type Config struct {
	// Store is the service's own.
	Store *pgstore.Store
	// Kafka is where inventory answers.
	Kafka *kafka.Client
	// TopicPrefix stands before the names of all topics and of the consumer group, as
	// the relays of both services have it. Usually empty.
	TopicPrefix string
	// Log is where the service tells what it does; slog.Default by default.
	Log *slog.Logger
}

// App is the running service: an HTTP API and reactions.
type App struct {
	config    Config
	log       *slog.Logger
	orders    *aggregates.Repository[Order, Event]
	summary   *projections.Projector // to wait for; the command project runs them
	customers *projections.Projector
}

// New returns the service. It asks neither the database nor the brokers anything.
func New(c Config) *App {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &App{
		config:    c,
		log:       c.Log,
		orders:    aggregates.New(c.Store, Decider),
		summary:   projections.New(c.Store, Summary),
		customers: projections.New(c.Store, Customers),
	}
}
