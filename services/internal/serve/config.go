package serve

import (
	"log/slog"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
)

// Config is what a service runs on.
type Config struct {
	// Store is the service's own.
	Store *pgstore.Store
	// Kafka is where the other services tell what happened to them.
	Kafka *kafka.Client
	// TopicPrefix stands before the names of all topics and of the consumer group, as
	// the relays of all services have it. Usually empty.
	TopicPrefix string
	// Log is where the service tells what it does; slog.Default by default.
	Log *slog.Logger
}

// Filled has the defaults where nothing is given.
func (c Config) Filled() Config {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}
