package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/pg"
)

// givenTimeout bounds the first answer of a server that the environment names.
const givenTimeout = 10 * time.Second

// checkGiven asks the servers that are given for an answer: what does not answer is
// not said to be up.
func (d dev) checkGiven(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, givenTimeout)
	defer cancel()
	if address := d.session.DatabaseURL(); address != "" {
		if err := checkPostgres(ctx, address); err != nil {
			return err
		}
	}
	if brokers := d.session.Brokers(); len(brokers) > 0 {
		return checkKafka(ctx, kafka.Config{Brokers: brokers, ClientID: "asof dev", Logger: d.session.Log})
	}
	return nil
}

func checkPostgres(ctx context.Context, address string) error {
	config, err := pg.ParseConn(address)
	if err != nil {
		return command.WithCode(command.ExitUsage, fmt.Errorf("asof: %w", err))
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return command.WithCode(command.ExitUnreachable, fmt.Errorf("asof: the database that DATABASE_URL names does not let us in; unset it to have one started: %w", err))
	}
	return conn.Close(ctx)
}

func checkKafka(ctx context.Context, config kafka.Config) error {
	client, err := kafka.New(config)
	if err != nil {
		return err
	}
	if err := client.Ping(ctx); err != nil {
		err = fmt.Errorf("asof: none of the brokers that KAFKA_BROKERS names answers; unset it to have one started: %w", err)
		return command.WithCode(command.ExitUnreachable, errors.Join(err, client.Close()))
	}
	return client.Close()
}
