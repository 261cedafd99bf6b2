package reactions

import (
	"context"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
)

// Defaults of a reaction.
const (
	DefaultTries      = 6
	DefaultPause      = 100 * time.Millisecond
	DefaultMostParked = 1_000
	DefaultRetention  = 30 * 24 * time.Hour
)

// Reaction says what is done when a message comes, and by what.
type Reaction[E es.Event] struct {
	// Name is the reaction's name in the inbox, 1 to [inbox.MaxConsumer] bytes, and with
	// TopicPrefix the consumer group. It is stored with every message, so keep it for ever.
	Name string
	// Store is where messages are noted, and what React appends to.
	Store *pgstore.Store
	// Kafka is where the messages come from.
	Kafka *kafka.Client
	// TopicPrefix stands before the names of the topics and of the group; usually empty.
	TopicPrefix string
	// Topics are what is read, such as the categories of the events.
	Topics []string
	// From says where a group begins that has no commit yet: [kafka.First] by default.
	From kafka.Start

	// Codec has the events that React is for. Give it no more types, and types no more
	// fields, than React reads: events of other types are skipped.
	Codec es.Codec[E]
	// Contracts has those that the events were written by, for a codec that asks for them:
	// a registry, or the store of the service that they are of. Without it the codec has
	// what the context of the call says (see [es.WithContracts]).
	Contracts es.Contracts
	// React does, in tx, what follows from an event. When the codec decodes a message into
	// several events it is called for each, in one transaction (see [es.Recorded.Part]).
	// What it appends with ctx is correlated with the event and caused by it. It may be
	// called again for the same event, in another transaction, and changes nothing outside
	// of tx. [es.ErrUnavailable] in its error says that what it asks does not answer: it is
	// tried again until that does, and nothing is parked.
	React func(ctx context.Context, event E, recorded es.Recorded, tx *pgstore.Tx) error
	// Any does what follows from a message that is no event of Asof's: a CloudEvent of
	// another system, or what is none. Without Codec and React it gets all messages.
	Any func(ctx context.Context, m *message.Message, tx *pgstore.Tx) error

	// Tries is how often a message is tried that React, or Any, fails with, before it is
	// parked; [DefaultTries] by default.
	Tries int
	// Pause is what comes after the first of these; it doubles up to [MostPause].
	// [DefaultPause] by default.
	Pause time.Duration
	// MostParked is how many messages may be parked; [DefaultMostParked] by default.
	// Beyond, the reaction ends with a [TooManyParkedError].
	MostParked int
	// Retention is how long the inbox keeps the ids of messages: longer than the topics
	// keep messages. [DefaultRetention] by default.
	Retention time.Duration
	// Log is where it tells what it does; slog.Default() by default.
	Log *slog.Logger
}

// Run reacts until ctx ends: see [Reactor.Run].
func Run[E es.Event](ctx context.Context, reaction Reaction[E]) error {
	return New(reaction).Run(ctx)
}
