package inventory

import (
	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es/reactions"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/services/internal/serve"
)

// Service describes the service to the commands of package command.
func Service() command.Service {
	return command.Service{
		Name:       "inventory",
		Short:      "Keeps the stock of products, and reserves it for orders",
		Aggregates: []command.Aggregate{command.AggregateOf(ProductDecider), command.AggregateOf(ReservationDecider)},
		Reactions: func(s *command.Session) []*reactions.Reactor {
			return []*reactions.Reactor{New(Config{Store: s.Store, TopicPrefix: s.TopicPrefix(), Log: s.Log}).Reaction()}
		},
		Projections: []projections.Definition{Stock},
	}
}

// Config is what the service runs on: its own store, and the brokers where orders
// tells what happened to them.
type Config = serve.Config

// App is the running service: an HTTP API and reactions.
type App struct {
	config       Config
	products     *aggregates.Repository[Product, ProductEvent]
	reservations *aggregates.Repository[Reservation, ReservationEvent]
	stock        *projections.Projector // to wait for; the command project runs it
}

// New returns the service. It asks neither the database nor the brokers anything.
func New(c Config) *App {
	return &App{
		config:       c.Filled(),
		products:     aggregates.New(c.Store, ProductDecider),
		reservations: aggregates.New(c.Store, ReservationDecider),
		stock:        projections.New(c.Store, Stock),
	}
}
