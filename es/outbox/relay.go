package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/mapping"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/internal/wait"
)

const (
	// Backoff of Run after a failure.
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// Relay publishes the log of one store to Kafka.
type Relay struct {
	store  *pgstore.Store
	client *kafka.Client
	source string
	logger *slog.Logger

	mappings    map[string][]mapping.Mapping // by category; none: as the log has it
	ended       []string                     // mappings
	mostHeld    int
	retryHeld   time.Duration
	prefix      string
	partitions  int
	byTopic     map[string]int
	replication int
	poll, lease time.Duration
	batch       int
}

// New returns a relay of the store's log. The source names the store to consumers,
// as the ce_source of all its events: a URI such as "/orders" of up to 256 bytes, which
// must stay the same, as consumers tell messages apart by it. What does not fit is
// refused by Run, as [ErrInvalid].
func New(store *pgstore.Store, client *kafka.Client, source string, options ...Option) *Relay {
	r := &Relay{
		store: store, client: client, source: source, logger: slog.Default(),
		partitions: 6, byTopic: map[string]int{}, mappings: map[string][]mapping.Mapping{}, mostHeld: 1000, retryHeld: 30 * time.Second, poll: 75 * time.Millisecond, lease: 5 * time.Second, batch: 5000,
	}
	for _, option := range options {
		option(r)
	}
	return r
}

// Run publishes the log until ctx ends, and returns nil then: what is being
// published is finished first, for 3 s at most, so that a clean stop repeats nothing.
// While another relay is active it waits.
//
// Failures of Kafka or the database are tried again, with a growing pause. What no
// patience cures is returned: [ErrPartitions], [ErrRestored], [ErrInvalid], missing
// tables or rights, a topic or an event that the broker does not accept. Meanwhile
// [ReadStatus] shows the failure.
func (r *Relay) Run(ctx context.Context) error {
	if err := r.validate(); err != nil {
		return err
	}
	producer := r.client.NewProducer()
	defer func() {
		if err := producer.Close(); err != nil {
			r.logger.WarnContext(ctx, "producer did not close", "error", err)
		}
	}()
	leader, seen := leaderName(), &sight{relay: r}
	backoff := wait.Backoff{First: firstBackoff, Last: lastBackoff}
	for {
		progress, err := r.lead(ctx, leader, seen, producer)
		switch {
		case ctx.Err() != nil:
			return nil
		case final(err):
			return err
		case errors.Is(err, errFenced):
			r.logger.WarnContext(ctx, "relay gives way", "error", err)
			continue
		case progress:
			backoff.Reset()
		}
		pause := backoff.Next()
		r.logger.WarnContext(ctx, "relay failed and will try again", "error", err, "in", pause)
		if wait.For(ctx, pause) != nil {
			return nil
		}
	}
}

// leaderName is unique to one Run.
func leaderName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s, process %d, %s", host, os.Getpid(), strings.ToLower(rand.Text()[:6]))
}

// lead waits for the lease and publishes for a term. It reports whether the
// checkpoint moved.
func (r *Relay) lead(ctx context.Context, leader string, seen *sight, producer *kafka.Producer) (progress bool, err error) {
	l, found, err := awaitLease(ctx, r, leader, seen)
	if err != nil {
		return false, err
	}
	defer func() { l.release(ctx, worthKnowing(ctx, err)) }()
	t := newTerm(r, l, found.at)
	if err := t.check(ctx); err != nil {
		return false, err
	}
	r.logger.InfoContext(ctx, "relay is active", "epoch", l.epoch, "position", found.at.Position)
	err = t.publishLog(ctx, producer)
	seen.at, seen.written = *t.read.Load(), l.checkpointWritten()
	if errors.Is(err, es.ErrAnotherLife) { // which a repair has begun meanwhile: the next term looks anew
		err = fmt.Errorf("%w: %v", errFenced, err) //nolint:errorlint // it is not final then
	}
	return t.moved, err
}

// worthKnowing is what the next who looks should know; nothing after a clean stop.
func worthKnowing(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// topicOf returns the whole name of a topic, which is that of a category where no mapping says
// another.
func (r *Relay) topicOf(topic string) string { return r.prefix + topic }

// partitionsOf returns how many partitions a topic has to have.
func (r *Relay) partitionsOf(topic string) int {
	if n, ok := r.byTopic[topic]; ok {
		return n
	}
	return r.partitions
}

// sql puts the schema's name into a statement.
func (r *Relay) sql(text string) string { return expand(text, r.store) }

func expand(sql string, store *pgstore.Store) string { return pg.Expand(store.Schema(), sql) }
