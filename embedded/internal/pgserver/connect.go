package pgserver

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/internal/pg"
)

const servicePattern = "service-*" // of the file that readConnection needs for a moment

// PoolConfig is how to connect to a database as superuser, whatever the variables PG…
// of the environment say: those are meant for another server than ours.
func (s *Server) PoolConfig(database string) *pgxpool.Config {
	config := s.pool.Copy()
	config.ConnConfig.Database = database
	return config
}

// Connect connects to a database as superuser in the same way.
func (s *Server) Connect(ctx context.Context, database string) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, s.PoolConfig(database).ConnConfig)
}

// readConnection makes what PoolConfig copies. pgx reads the environment whenever it
// reads an address, and what the address says wins. Nothing there can deny that a
// service is asked for, so an empty one of ours is named.
func (s *Server) readConnection() (err error) {
	const service = "asof"
	file, err := os.CreateTemp(s.config.Dir, servicePattern)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(file.Name())) }()
	_, err = file.WriteString("[" + service + "]\n")
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	address, err := url.Parse(s.URL(User))
	if err != nil {
		return errors.New("the address of the server is no URL") // err would show the password
	}
	query := url.Values{"service": {service}, "servicefile": {filepath.ToSlash(file.Name())}}
	for name, value := range map[string]string{
		"sslmode": "disable", "sslnegotiation": "", "sslcert": "", "sslkey": "", "sslrootcert": "", "sslcertmode": "disable", "sslpassword": "", "sslsni": "",
		"target_session_attrs": "any", "channel_binding": "prefer", "require_auth": "", "connect_timeout": "30",
		"min_protocol_version": "3.0", "max_protocol_version": "3.0", "passfile": "",
	} {
		query.Set(name, value)
	}
	address.RawQuery = query.Encode()
	s.pool, err = pg.ParsePool(address.String())
	if err != nil {
		return err
	}
	clear(s.pool.ConnConfig.RuntimeParams) // options, time zone, name: of the environment too
	return nil
}
