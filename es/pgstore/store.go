package pgstore

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
)

// Store is an event store in one schema of a Postgres database. It is safe for
// concurrent use; the pool stays the caller's to close.
type Store struct {
	pool    *pgxpool.Pool
	schema  string
	sql     statements
	settled settled
	checked atomic.Bool
}

var (
	_ es.Store = (*Store)(nil)
	_ es.Log   = (*Store)(nil)
	_ es.Store = (*Tx)(nil)
)

// Option changes how a store is opened.
type Option func(*Store)

// WithSchema names the schema of the store's tables; "asof" is the default. One
// schema holds one store.
func WithSchema(name string) Option { return func(s *Store) { s.schema = name } }

// New returns the store in a database whose tables package migrations has made.
// It asks the database nothing: the first use checks that the tables are there.
func New(pool *pgxpool.Pool, options ...Option) *Store {
	s := &Store{pool: pool, schema: "asof"}
	for _, option := range options {
		option(s)
	}
	s.sql = newStatements(s.schema)
	return s
}

// Pool returns the pool that New was given.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Schema returns the schema of the store's tables.
func (s *Store) Schema() string { return s.schema }

// Append records events in a transaction of its own: see [es.Store]. After an
// error of the connection it is not known whether they were recorded; retry with
// the same events, whose ids make that safe.
func (s *Store) Append(ctx context.Context, stream es.StreamID, want es.Expected, events ...es.EventData) ([]es.RecordedEvent, error) {
	if err := s.check(ctx, s.pool); err != nil {
		return nil, err
	}
	a := appender{sql: &s.sql, db: s.pool, stream: stream, want: want, events: events}
	recorded, err := a.run(ctx)
	if !errors.Is(err, errLostRace) {
		return recorded, err
	}
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		a.db = tx
		recorded, err = a.runAlone(ctx)
		return err
	})
	if err != nil {
		return nil, explain("append to "+stream.String(), err)
	}
	return recorded, nil
}

// ReadStream reads a stream in pages: see [es.Store].
func (s *Store) ReadStream(ctx context.Context, stream es.StreamID, from es.Version) iter.Seq2[es.RecordedEvent, error] {
	return func(yield func(es.RecordedEvent, error) bool) {
		if err := s.check(ctx, s.pool); err != nil {
			yield(es.RecordedEvent{}, err)
			return
		}
		readStream(ctx, s.pool, &s.sql, stream, from, yield)
	}
}

// InTx returns the store inside the caller's transaction: what is appended there is
// recorded if and when the transaction commits. A conflict leaves a read committed
// transaction usable. Keep the time between an append and the commit short:
// readers of the log wait for it.
func (s *Store) InTx(tx pgx.Tx) *Tx { return &Tx{store: s, tx: tx} }

// Tx is a [Store] inside a transaction of the caller's.
type Tx struct {
	store *Store
	tx    pgx.Tx
}

// Tx returns the transaction that InTx was given, for SQL of the caller's own that
// is to be committed with the events. Commit and rollback stay the caller's.
func (t *Tx) Tx() pgx.Tx { return t.tx }

// Append records events in the caller's transaction: see [es.Store]. After
// [es.ErrDuplicateID] and [es.ErrRetry] the transaction must be rolled back.
func (t *Tx) Append(ctx context.Context, stream es.StreamID, want es.Expected, events ...es.EventData) ([]es.RecordedEvent, error) {
	if err := t.store.check(ctx, t.tx); err != nil {
		return nil, err
	}
	a := appender{sql: &t.store.sql, db: t.tx, stream: stream, want: want, events: events}
	recorded, err := a.run(ctx)
	if errors.Is(err, errLostRace) {
		return a.runAlone(ctx)
	}
	return recorded, err
}

// ReadStream reads a stream as the caller's transaction sees it.
func (t *Tx) ReadStream(ctx context.Context, stream es.StreamID, from es.Version) iter.Seq2[es.RecordedEvent, error] {
	return func(yield func(es.RecordedEvent, error) bool) {
		readStream(ctx, t.tx, &t.store.sql, stream, from, yield)
	}
}

// Settle is refused: a transaction would wait for its own appends, and its snapshot
// may be older than the answer. Ask the store outside of the transaction.
func (t *Tx) Settle(context.Context, time.Time) (es.Position, error) { return 0, errSettleInTx }
