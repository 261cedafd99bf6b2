package inbox

import (
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
)

// Inbox remembers which messages one reaction has had. It is safe for concurrent
// use, by any number of processes.
type Inbox struct {
	store     *pgstore.Store
	consumer  string
	types     []string
	typed     bool // false: all types
	retention time.Duration
	log       *slog.Logger
	refused   error // what New was given cannot be: every call says so
	told      told

	reacted, repeated, skipped, foreign, broken, late atomic.Int64
}

// Option changes an inbox. One that cannot be is refused, as [es.ErrInvalid], by the
// first call.
type Option func(*Inbox)

// WithTypes names the event types that the reaction is for, as a codec's Types
// lists them. All others are acknowledged and counted without a look at the
// database. Without it the reaction gets every event, and must not fail on those
// that it does not know.
func WithTypes(types ...string) Option {
	return func(i *Inbox) { i.types, i.typed = slices.Clone(types), true }
}

// WithRetention sets how long ids are kept, 30 days unless said otherwise. Zero
// keeps them for ever.
func WithRetention(d time.Duration) Option { return func(i *Inbox) { i.retention = d } }

// WithLogger sets the logger; slog's default when it is not given.
func WithLogger(l *slog.Logger) Option { return func(i *Inbox) { i.log = l } }

// New returns the inbox of one reaction, whose tables package migrations makes in
// the store's schema. The consumer is the reaction's name, 1 to [MaxConsumer]
// bytes: it is stored with every id, so keep it for ever. Reactions of different
// names do not know of each other's messages. A name that does not fit is refused, as
// [es.ErrInvalid], by the first call.
func New(store *pgstore.Store, consumer string, options ...Option) *Inbox {
	i := &Inbox{store: store, consumer: consumer, retention: 30 * 24 * time.Hour, log: slog.Default()}
	for _, option := range options {
		option(i)
	}
	if i.refused = i.validate(); i.refused == nil {
		i.log = i.log.With("consumer", consumer)
	}
	return i
}

func (i *Inbox) validate() error {
	switch {
	case i.store == nil:
		return fmt.Errorf("inbox: %w: New without a store", es.ErrInvalid)
	case !storable(i.consumer, MaxConsumer):
		return fmt.Errorf("inbox: %w: consumer %.40q: give 1 to %d bytes of UTF-8", es.ErrInvalid, i.consumer, MaxConsumer)
	case i.retention < 0:
		return fmt.Errorf("inbox: %w: retention %s: give a time to keep ids, or 0 to keep them for ever", es.ErrInvalid, i.retention)
	case i.log == nil:
		return fmt.Errorf("inbox: %w: WithLogger(nil): give a logger, or leave the option out", es.ErrInvalid)
	case i.typed && len(i.types) == 0:
		return fmt.Errorf("inbox: %w: WithTypes without a type: name those that the reaction is for, or leave the option out for all", es.ErrInvalid)
	}
	for _, name := range i.types {
		if err := recordable(es.RecordedEvent{Recorded: es.Recorded{ID: es.NewID(), Type: name, Stream: es.StreamID{Category: "any", ID: "any"}}}); err != nil {
			return fmt.Errorf("inbox: WithTypes: no event can be of type %.40q: %w", name, err)
		}
	}
	return nil
}

// Counts is what an inbox has done since New.
type Counts struct {
	Reacted  int64 // messages that the reaction was committed for
	Repeated int64 // messages that it had before
	Skipped  int64 // messages of types that WithTypes leaves out
	Foreign  int64 // messages of other systems, which Handle acknowledges and HandleAny reacts to
	Broken   int64 // deliveries of events that cannot be read: see ErrBroken
	Late     int64 // messages of a life that the store has left: see Inbox.Accept
}

// Counts reads the counters.
func (i *Inbox) Counts() Counts {
	return Counts{
		Reacted: i.reacted.Load(), Repeated: i.repeated.Load(), Skipped: i.skipped.Load(),
		Foreign: i.foreign.Load(), Broken: i.broken.Load(), Late: i.late.Load(),
	}
}

func (i *Inbox) wants(eventType string) bool { return !i.typed || slices.Contains(i.types, eventType) }

// q puts the schema's name into a statement.
func (i *Inbox) q(sql string) string { return pg.Expand(i.store.Schema(), sql) }
