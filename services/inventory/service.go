package inventory

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
		Name:        "inventory",
		Short:       "Keeps the stock of products, and reserves it for orders",
		Aggregates:  []command.Aggregate{command.AggregateOf(ProductDecider), command.AggregateOf(ReservationDecider)},
		Projections: []projections.Definition{Stock},
	}
}

// Config is what the service runs on.
type Config struct {
	// Store is the service's own.
	Store *pgstore.Store
	// Kafka is where orders tells what happened to them.
	Kafka *kafka.Client
	// TopicPrefix stands before the names of all topics and of the consumer group, as
	// the relays of both services have it. Usually empty.
	TopicPrefix string
	// Log is where the service tells what it does; slog.Default by default.
	Log *slog.Logger
}

// App is the running service: an HTTP API and reactions.
type App struct {
	config       Config
	log          *slog.Logger
	products     *aggregates.Repository[Product, ProductEvent]
	reservations *aggregates.Repository[Reservation, ReservationEvent]
	stock        *projections.Projector // to wait for; the command project runs it
}

// New returns the service. It asks neither the database nor the brokers anything.
func New(c Config) *App {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &App{
		config:       c,
		log:          c.Log,
		products:     aggregates.New(c.Store, ProductDecider),
		reservations: aggregates.New(c.Store, ReservationDecider),
		stock:        projections.New(c.Store, Stock),
	}
}
