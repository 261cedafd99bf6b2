package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/internal/pg"
)

const (
	connectTimeout = 5 * time.Second  // to Postgres, for an address that sets none
	pingTimeout    = 10 * time.Second // for the first answer of a broker
)

// poolConfig reads the address. The sessions are named after the command, so that
// `status` can say who holds the log back.
func (s Service) poolConfig(address, command string) (*pgxpool.Config, error) {
	if address == "" {
		return nil, usage("no database is given: set DATABASE_URL or --%s; `asof dev` starts one and prints its address", flagDatabaseURL)
	}
	config, err := pg.ParsePool(address)
	if err != nil {
		return nil, usage("%w", err)
	}
	if config.ConnConfig.ConnectTimeout == 0 || !strings.Contains(address, "connect_timeout") {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if _, named := config.ConnConfig.RuntimeParams["application_name"]; !named {
		config.ConnConfig.RuntimeParams["application_name"] = s.Name + " " + command
	}
	if !strings.Contains(address, "pool_max_conns") {
		config.MaxConns = max(config.MaxConns, int32(2*len(s.Projections)+4))
	}
	return config, nil
}

// connect asks the database for an answer, so that a wrong address is an error at
// once, also of a command that would later go on trying.
func connect(ctx context.Context, config *pgxpool.Config) (*pgxpool.Pool, error) {
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, usage("the database's address: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, WithCode(ExitUnreachable, fmt.Errorf("command: the database cannot be reached: check that it runs and that DATABASE_URL is right: %w", err))
	}
	return pool, nil
}
