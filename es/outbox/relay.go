package outbox

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
)

// Relay publishes the log of one store to Kafka.
type Relay struct {
	store  *pgstore.Store
	client *kafka.Client
	source string
	log    *slog.Logger

	prefix      string
	partitions  int
	byCategory  map[string]int
	replication int
	poll, lease time.Duration
	batch       int
}

// Option changes a relay.
type Option func(*Relay)

// WithLogger sets the logger; slog's default when it is not given.
func WithLogger(l *slog.Logger) Option { return func(r *Relay) { r.log = l } }

// WithTopicPrefix puts a text before the category to make a topic's name, such as
// "shop." for "shop.order". Readers must be told the same.
func WithTopicPrefix(prefix string) Option { return func(r *Relay) { r.prefix = prefix } }

// WithPartitions sets with how many partitions topics are made: those of the given
// categories, or without any, all others. It is 6 unless said otherwise, and cannot
// be changed for a topic that exists.
func WithPartitions(n int, categories ...string) Option {
	return func(r *Relay) {
		if len(categories) == 0 {
			r.partitions = n
		}
		for _, category := range categories {
			r.byCategory[category] = n
		}
	}
}

// WithReplication sets with how many replicas topics are made; the broker's default
// unless said otherwise.
func WithReplication(n int) Option { return func(r *Relay) { r.replication = n } }

// WithPoll sets how often an idle relay looks for new events: every 25 ms unless
// said otherwise.
func WithPoll(d time.Duration) Option { return func(r *Relay) { r.poll = d } }

// WithBatch sets how many events are read and published at a time, 5000 at most
// unless said otherwise. Fewer are taken when they are large: a page is kept near
// 8 MiB, and three are in memory.
func WithBatch(n int) Option { return func(r *Relay) { r.batch = n } }

// WithLease sets how long a relay that shows no sign of life keeps others out: 5 s
// unless said otherwise. It is renewed three times in that time.
func WithLease(d time.Duration) Option { return func(r *Relay) { r.lease = d } }

// New returns a relay of the store's log. The source names the store to consumers,
// as the ce_source of all its events: a URI such as "/orders", which must stay the
// same, as consumers tell messages apart by it. Options are checked by Run.
func New(store *pgstore.Store, client *kafka.Client, source string, options ...Option) *Relay {
	r := &Relay{
		store: store, client: client, source: source, log: slog.Default(),
		partitions: 6, byCategory: map[string]int{}, poll: 25 * time.Millisecond, lease: 5 * time.Second, batch: 5000,
	}
	for _, option := range options {
		option(r)
	}
	return r
}

const leastLease = 200 * time.Millisecond

func (r *Relay) validate() error {
	switch {
	case r.client == nil:
		return fmt.Errorf("%w: the relay has no Kafka client: give one to New", ErrInvalid)
	case r.source == "":
		return fmt.Errorf("%w: the source is empty: give a URI such as \"/orders\"", ErrInvalid)
	case r.batch < 1 || r.poll <= 0 || r.replication < 0:
		return fmt.Errorf("%w: batch, poll and replication must be positive", ErrInvalid)
	case r.lease < leastLease:
		return fmt.Errorf("%w: lease of %s: give at least %s", ErrInvalid, r.lease, leastLease)
	case r.partitions < 1:
		return fmt.Errorf("%w: %d partitions: give at least 1", ErrInvalid, r.partitions)
	}
	for category, n := range r.byCategory {
		if n < 1 {
			return fmt.Errorf("%w: %d partitions for %s: give at least 1", ErrInvalid, n, category)
		}
	}
	return nil
}

// q puts the schema's name into a statement.
func (r *Relay) q(sql string) string { return expand(sql, r.store) }

func expand(sql string, store *pgstore.Store) string { return pg.Expand(store.Schema(), sql) }
