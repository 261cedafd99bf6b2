package migrations

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// session is the one connection that does all: it holds the lock and runs the files,
// so that nobody can go on whose lock is gone. It is not taken from the pool, which
// may be as small as one.
type session struct {
	conn *pgx.Conn
	// No pooler stands between. Behind one, each transaction may have another session
	// of the server, so that nothing is set or locked for longer than that.
	direct bool
}

// connect relies on nothing that a pooler may drop: no startup parameter of ours, no
// prepared statement.
func connect(ctx context.Context, pool *pgxpool.Pool) (*session, error) {
	whole := pool.Config()
	config := whole.ConnConfig
	if whole.BeforeConnect != nil { // such as for a password that is fetched
		if err := whole.BeforeConnect(ctx, config); err != nil {
			return nil, fmt.Errorf("before connect: %w", err)
		}
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s := &session{conn: conn}
	// A pooler tells the client a number of its own.
	if err := conn.QueryRow(ctx, `select pg_backend_pid() = $1::bigint`, int64(conn.PgConn().PID())).Scan(&s.direct); err != nil {
		s.close(ctx)
		return nil, fmt.Errorf("connect: %w", err)
	}
	return s, nil
}

func (s *session) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	_ = s.conn.Close(ctx)
}

// patientSQL lifts what would end a long wait or a long build, whatever the role, the
// database or the startup parameters say. As no timeout ends the session any more, the
// server has to notice by itself that the client is gone. Bind: $1 for this
// transaction only.
const patientSQL = `
select count(set_config(name, value, $1)) from pg_settings join (values
	('statement_timeout', '0'), ('lock_timeout', '0'), ('transaction_timeout', '0'),
	('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0'),
	('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '6')
) as patient (name, value) using (name)`

// patient lifts the timeouts of a session that is ours alone.
func (s *session) patient(ctx context.Context) error {
	if !s.direct {
		return nil
	}
	if _, err := s.conn.Exec(ctx, patientSQL, false); err != nil {
		return fmt.Errorf("lift the timeouts: %w", err)
	}
	return nil
}
