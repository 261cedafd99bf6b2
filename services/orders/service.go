package orders

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
		Name:       "orders",
		Short:      "Takes orders, and has inventory reserve their items",
		Aggregates: []command.Aggregate{command.AggregateOf(Decider)},
		Reactions: func(s *command.Session) []*reactions.Reactor {
			return []*reactions.Reactor{New(Config{Store: s.Store, TopicPrefix: s.TopicPrefix(), Log: s.Log}).Reaction()}
		},
		Projections: []projections.Definition{Summary, Customers},
	}
}

// Config is what the service runs on: its own store, and the brokers where inventory
// answers.
type Config = serve.Config

// App is the running service: an HTTP API and reactions.
type App struct {
	config    Config
	orders    *aggregates.Repository[Order, Event]
	summary   *projections.Projector // to wait for; the command project runs them
	customers *projections.Projector
}

// New returns the service. It asks neither the database nor the brokers anything.
func New(c Config) *App {
	return &App{
		config:    c.Filled(),
		orders:    aggregates.New(c.Store, Decider),
		summary:   projections.New(c.Store, Summary),
		customers: projections.New(c.Store, Customers),
	}
}
