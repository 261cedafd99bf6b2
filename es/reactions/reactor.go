package reactions

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
)

// Reactor runs a reaction, and sees to what it has parked. It is safe for concurrent use.
type Reactor struct {
	name   string
	store  *pgstore.Store
	client *kafka.Client
	prefix string
	topics []string // with the prefix
	from   kafka.Start
	inbox  *inbox.Inbox

	types []string                                                    // that event reads
	event func(ctx context.Context, e es.RecordedEvent) (work, error) // nil: there is no React
	any   func(context.Context, *message.Message, *pgstore.Tx) error  // nil: events alone

	tries   int
	pause   time.Duration
	most    int
	log     *slog.Logger
	refused error // what New was given cannot be: every call says so
	told    told

	reacted, repeated, skipped, parked, late, waiting atomic.Int64
}

// work is what is done in the transaction that notes a message.
type work func(ctx context.Context, tx *pgstore.Tx) error

// New returns what runs a reaction. It asks nothing of the database or the brokers. A
// reaction that cannot be is refused, as [es.ErrInvalid], by the first call. Without a
// Kafka all can be done but Run.
func New[E es.Event](c Reaction[E]) *Reactor {
	r := &Reactor{
		name: c.Name, store: c.Store, client: c.Kafka, prefix: c.TopicPrefix, from: c.From, any: c.Any,
		tries: cmp.Or(c.Tries, DefaultTries), pause: cmp.Or(c.Pause, DefaultPause), most: cmp.Or(c.MostParked, DefaultMostParked), log: c.Log,
	}
	if r.log == nil {
		r.log = slog.Default()
	}
	r.log = r.log.With("reaction", c.Name)
	for _, topic := range c.Topics {
		r.topics = append(r.topics, c.TopicPrefix+topic)
	}
	r.inbox = inbox.New(c.Store, c.Name, inbox.WithLogger(r.log), inbox.WithRetention(cmp.Or(c.Retention, DefaultRetention)))
	if c.Codec != nil && c.React != nil {
		r.types, r.event = c.Codec.Types(), reader(c)
	}
	r.refused = check(c)
	return r
}

// reader reads a message's event into what is done about it.
func reader[E es.Event](c Reaction[E]) func(context.Context, es.RecordedEvent) (work, error) {
	return func(ctx context.Context, recorded es.RecordedEvent) (work, error) {
		if c.Contracts != nil {
			ctx = es.WithContracts(ctx, c.Contracts)
		}
		events, err := c.Codec.Decode(ctx, nil, recorded)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, tx *pgstore.Tx) error {
			for i, event := range events {
				if err := c.React(ctx, event, recorded.PartOf(i, len(events)), tx); err != nil {
					return err
				}
			}
			return nil
		}, nil
	}
}

func check[E es.Event](c Reaction[E]) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("reactions: %w: %.40q: "+format, append([]any{es.ErrInvalid, c.Name}, args...)...)
	}
	switch {
	case c.Name == "" || pg.Key(c.Name, inbox.MaxConsumer) != c.Name:
		return refuse("give a name of 1 to %d bytes of UTF-8", inbox.MaxConsumer)
	case c.Store == nil:
		return refuse("it has no Store")
	case len(c.Topics) == 0:
		return refuse("name the Topics that it reads")
	case (c.Codec == nil) != (c.React == nil):
		return refuse("it has one of Codec and React: give both, or neither and Any")
	case c.React == nil && c.Any == nil:
		return refuse("it does nothing: give Codec and React, or Any, or all three")
	case c.Tries < 0 || c.Pause < 0 || c.MostParked < 0 || c.Retention < 0:
		return refuse("Tries, Pause, MostParked and Retention are not negative; 0 is the default")
	case c.From != kafka.First && c.From != kafka.Last:
		return refuse("From is %d: give kafka.First or kafka.Last", c.From)
	}
	for i, topic := range c.Topics {
		if err := kafka.ValidTopic(c.TopicPrefix + topic); err != nil {
			return refuse("%w", err)
		}
		if slices.Contains(c.Topics[:i], topic) {
			return refuse("topic %q is named twice", topic)
		}
	}
	return nil
}

// Name returns the reaction's name.
func (r *Reactor) Name() string { return r.name }

// Group returns the name of its consumer group.
func (r *Reactor) Group() string { return r.prefix + r.name }

// q puts the schema's name into a statement.
func (r *Reactor) q(sql string) string { return pg.Expand(r.store.Schema(), sql) }
