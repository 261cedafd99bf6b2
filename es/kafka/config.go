package kafka

import (
	"crypto/tls"
	"log/slog"

	"github.com/segmentio/kafka-go/sasl"
)

// Config says how to reach a cluster.
type Config struct {
	// Brokers are some of the cluster's brokers as host:port; the others are found
	// through them.
	Brokers []string
	// ClientID names this program to the brokers. Empty means "asof".
	ClientID string
	// TLS encrypts the connections. Nil means that they are plain.
	TLS *tls.Config
	// SASL logs in, by a mechanism of kafka-go's packages sasl/plain and sasl/scram.
	// Nil means that there is no login.
	SASL sasl.Mechanism
	// Logger gets what is retried and what was reset. Nil means slog.Default().
	Logger *slog.Logger
}
