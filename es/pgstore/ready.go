package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// readySQL reads how many positions a session draws at once, how the database encodes
// text, and whether a subscription writes into the log. It looks at the columns of
// every table that the store uses, so that old ones are noticed.
const readySQL = `
select seqcache, current_setting('server_encoding'), exists (select from pg_subscription_rel where srrelid = {events}),
       (select count(moment) from {asof}.settled_head), (select count(*) from {asof}.categories where false) + (select count(*) from {asof}.contracts where false)
from pg_sequence where seqrelid = {sequence}`

// ready looks, until it has found all in order, whether the tables are there and keep
// what the store relies on: positions are drawn one by one (a cache would let a later
// append draw a lower position), and text is UTF-8.
func (s *Store) ready(ctx context.Context, db db) error {
	if s.checked.Load() {
		return nil
	}
	if s.invalid != nil {
		return s.invalid
	}
	if err := s.mayPrepare(ctx, db); err != nil {
		return err
	}
	var cache, moments, none int64
	var encoding string
	var subscribed bool
	if err := db.QueryRow(ctx, s.sql.ready).Scan(&cache, &encoding, &subscribed, &moments, &none); err != nil {
		return explain("open the store in schema "+s.schema, err)
	}
	switch {
	case cache != 1:
		return fmt.Errorf("pgstore: %w: the sequence %s.events_position has a cache, which breaks the order of the log: run: alter sequence %s.events_position cache 1", es.ErrInvalid, s.schema, s.schema)
	case encoding != "UTF8":
		return fmt.Errorf("pgstore: %w: the database keeps text as %s, in which not every event can be stored: make it with encoding 'UTF8'", es.ErrInvalid, encoding)
	}
	if err := (&probe{subscribed: subscribed}).refused(s); err != nil {
		return err
	}
	s.checked.Store(true)
	return nil
}

// mayPrepare refuses the mode of pgx in which a statement and its values go in two round
// trips, where a pooler is between: it may give each of them another session, and then
// the values go to whatever statement a program before has left there, such as the
// append of another store. Other modes send both at once, or name their statements, of
// which a session that does not know one says so.
func (s *Store) mayPrepare(ctx context.Context, db db) error {
	if s.pool.Config().ConnConfig.DefaultQueryExecMode != pgx.QueryExecModeDescribeExec {
		return nil
	}
	direct, err := s.direct(ctx, db)
	if err != nil {
		return explain("open the store in schema "+s.schema, err)
	}
	if !direct {
		return fmt.Errorf("pgstore: %w: a pooler is between, and default_query_exec_mode=describe_exec may run another program's statement there: put default_query_exec_mode=exec or cache_describe into the database's URL", es.ErrInvalid)
	}
	return nil
}

// direct tells whether a session is the client's own: a pooler tells it a number of the
// pooler's. It is asked in one round trip.
func (s *Store) direct(ctx context.Context, db db) (direct bool, err error) {
	ask := func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `select pg_backend_pid() = $1::bigint`, pgx.QueryExecModeExec, int64(conn.PgConn().PID())).Scan(&direct)
	}
	if tx, ok := db.(pgx.Tx); ok {
		err = ask(tx.Conn())
		return direct, err
	}
	err = s.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return ask(c.Conn()) })
	return direct, err
}

// mayAppendSQL asks for the right to read the settled moment. Without it Postgres gives
// null for its value, and events could be recorded before a moment that is final.
const mayAppendSQL = `select has_sequence_privilege({moment}, 'usage, select'), current_user::text`

// mayAppend looks once whether appends keep what the store promises.
func (s *Store) mayAppend(ctx context.Context, db db) error {
	if s.appends.Load() {
		return nil
	}
	var may bool
	var role string
	if err := db.QueryRow(ctx, s.sql.mayAppend).Scan(&may, &role); err != nil {
		return explain("open the store in schema "+s.schema, err)
	}
	if !may {
		return fmt.Errorf("pgstore: %w: role %s may not append: it must see which moments are final: run: grant usage on sequence %s to %s", es.ErrInvalid, role, s.sql.momentName, pg.Quote(role))
	}
	s.appends.Store(true)
	return nil
}

// validate refuses what New was given.
func (s *Store) validate() error {
	if s.pool == nil {
		return fmt.Errorf("pgstore: %w: the store has no pool: give one to New", es.ErrInvalid)
	}
	if err := pg.ValidSchema(s.schema); err != nil {
		return fmt.Errorf("pgstore: %w: %w", es.ErrInvalid, err)
	}
	return nil
}
