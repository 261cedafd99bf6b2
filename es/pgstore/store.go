package pgstore

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// Store is an event store in one schema of a Postgres database. It is safe for
// concurrent use; the pool stays the caller's to close.
type Store struct {
	pool       *pgxpool.Pool
	schema     string
	replicated bool  // reads wait for the standbys: see WithReplicatedReads
	invalid    error // what every call returns
	sql        statements
	categories categories
	contracts  contracts
	sizes      sizes
	tail       tail

	appends atomic.Bool           // the role has what appends need
	checked atomic.Bool           // the tables keep what the store relies on
	run     atomic.Pointer[run]   // what is known of the log
	lost    atomic.Pointer[error] // why no reader without an event id goes on
	seen    seen                  // what was read of it
	kept    atomic.Int64          // when KeepMoments had no more to do, in Unix nanoseconds
	keeping sync.Mutex            // held by who keeps moments
	gap     atomic.Pointer[gap]   // what is gone of that in its middle
}

var (
	_ es.Store = (*Store)(nil)
	_ es.Log   = (*Store)(nil)
	_ es.Store = (*Tx)(nil)

	_ es.Contracts = (*Store)(nil)
	_ es.Contracts = (*Tx)(nil)
)

// Option changes how a store is opened.
type Option func(*Store)

// WithSchema names the schema of the store's tables, as package migrations makes it:
// 1 to 63 of a-z 0-9 _; "asof" is the default. One schema holds one store.
func WithSchema(name string) Option { return func(s *Store) { s.schema = name } }

// New returns the store in a database whose tables package migrations has made.
// It asks the database nothing: the first use checks that the tables are there, and
// what New was given.
func New(pool *pgxpool.Pool, options ...Option) *Store {
	s := &Store{pool: pool, schema: "asof", contracts: contracts{turn: make(chan struct{}, 1)}}
	for _, option := range options {
		option(s)
	}
	if s.invalid = s.validate(); s.invalid == nil {
		s.sql = newStatements(s.schema)
	}
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
	a := appender{store: s, db: s.pool, stream: stream, want: want, events: events}
	if err := a.prepare(ctx); err != nil {
		return nil, err
	}
	recorded, err := a.run(ctx)
	if !errors.Is(err, errLostRace) && !pg.LostRace(err) {
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
		if err := s.ready(ctx, s.pool); err != nil {
			yield(es.RecordedEvent{}, err)
			return
		}
		s.readStream(ctx, s.pool, stream, from, yield)
	}
}
