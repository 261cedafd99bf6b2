package inbox

import (
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es/pgstore"
)

// Inbox remembers which messages one reaction has had. It is safe for concurrent
// use, by any number of processes.
type Inbox struct {
	store     *pgstore.Store
	consumer  string
	types     []string // nil: all
	retention time.Duration
	log       *slog.Logger

	reacted, repeated, skipped atomic.Int64
}

// Option changes an inbox.
type Option func(*Inbox)

// WithTypes names the event types that the reaction is for, as a codec's Types
// lists them. Handle acknowledges and counts all others without a look at the
// database. Without it the reaction gets every event, and must not fail on those
// that it does not know.
func WithTypes(types ...string) Option {
	return func(i *Inbox) { i.types = slices.Clone(types) }
}

// WithRetention sets how long ids are kept, 30 days unless said otherwise. Zero
// keeps them for ever.
func WithRetention(d time.Duration) Option { return func(i *Inbox) { i.retention = d } }

// WithLogger sets the logger; slog's default when it is not given.
func WithLogger(l *slog.Logger) Option { return func(i *Inbox) { i.log = l } }

// New returns the inbox of one reaction, whose tables package migrations makes in
// the store's schema. The consumer is the reaction's name, 1 to [MaxConsumer]
// bytes: it is stored with every id, so keep it for ever. Reactions of different
// names do not know of each other's messages.
func New(store *pgstore.Store, consumer string, options ...Option) *Inbox {
	i := &Inbox{store: store, consumer: consumer, retention: 30 * 24 * time.Hour, log: slog.Default()}
	for _, option := range options {
		option(i)
	}
	i.log = i.log.With("consumer", consumer)
	return i
}

// Counts is what an inbox has done since New.
type Counts struct {
	Reacted  int64 // messages that the reaction was committed for
	Repeated int64 // messages that it had before
	Skipped  int64 // messages that are not events, or not of its types
}

// Counts reads the counters.
func (i *Inbox) Counts() Counts {
	return Counts{Reacted: i.reacted.Load(), Repeated: i.repeated.Load(), Skipped: i.skipped.Load()}
}

// q puts the schema's name into a statement.
func (i *Inbox) q(sql string) string {
	return strings.ReplaceAll(sql, "{asof}", pgx.Identifier{i.store.Schema()}.Sanitize())
}
