package outbox

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/mapping"
)

// Option changes a relay.
type Option func(*Relay)

// WithLogger sets the logger; slog's default when it is not given.
func WithLogger(l *slog.Logger) Option { return func(r *Relay) { r.logger = l } }

// WithTopicPrefix puts a text before the category to make a topic's name, such as
// "shop." for "shop.order": up to 121 of the characters A-Z a-z 0-9 . _ -, of which
// the first is a letter, a digit or a hyphen. Readers must be told the same.
func WithTopicPrefix(prefix string) Option { return func(r *Relay) { r.prefix = prefix } }

// WithPartitions sets with how many partitions topics are made: the given ones, which
// have the names of categories or of mappings' topics, without the prefix; or without any, all
// others. It is 6 unless said otherwise, and cannot be changed for a topic that exists.
func WithPartitions(n int, topics ...string) Option {
	return func(r *Relay) {
		if len(topics) == 0 {
			r.partitions = n
		}
		for _, topic := range topics {
			r.byTopic[topic] = n
		}
	}
}

// WithMappings sets what is published of the events of some categories, instead of what the log
// has. An event that a mapping cannot publish is held, and with it what comes after it in its
// stream, to that mapping's topic: see [ListHeld]. The relay tries it again by itself.
func WithMappings(mappings ...mapping.Mapping) Option {
	return func(r *Relay) {
		for _, m := range mappings {
			r.mappings[m.Category()] = append(r.mappings[m.Category()], m)
		}
	}
}

// WithEnded says that mappings have ended which published once: nothing more goes to their topics,
// and what they hold is forgotten. Without it a relay that lacks a mapping waits, with
// [ErrMappings] in its status: it may be of before a deployment.
func WithEnded(mappings ...string) Option {
	return func(r *Relay) { r.ended = append(r.ended, mappings...) }
}

// WithHeld sets of how many streams mappings may hold events: 1,000 unless said otherwise. More
// stop the relay, with [ErrTooManyHeld] in its status: the program is wrong then.
func WithHeld(streams int) Option { return func(r *Relay) { r.mostHeld = streams } }

// WithHeldRetry sets how often the relay tries to publish what is held: every 30 s unless said
// otherwise, and when it begins.
func WithHeldRetry(every time.Duration) Option { return func(r *Relay) { r.retryHeld = every } }

// WithReplication sets with how many replicas topics are made; the broker's default
// unless said otherwise, or for 0.
func WithReplication(n int) Option { return func(r *Relay) { r.replication = n } }

// WithPoll sets how often a relay looks for new events while nothing is appended: every 75
// ms unless said otherwise. After an event it looks much more often.
func WithPoll(d time.Duration) Option { return func(r *Relay) { r.poll = d } }

// WithBatch sets how many events are read and published at a time, 5000 at most
// unless said otherwise. Fewer are taken when they are large: a page is kept near
// 8 MiB. Three are in memory, and up to 16 MiB that Kafka has not acknowledged yet.
func WithBatch(n int) Option { return func(r *Relay) { r.batch = n } }

// WithLease sets how long a relay that shows no sign of life keeps others out: 5 s
// unless said otherwise. It is renewed three times in that time.
func WithLease(d time.Duration) Option { return func(r *Relay) { r.lease = d } }

const (
	leastLease = 200 * time.Millisecond
	// maxTopic is how long Kafka lets the name of a topic be.
	maxTopic = 249
	// maxSource is what events leave room for: see the limits of package es.
	maxSource = 256
)

func (r *Relay) validate() error {
	if err := r.validateNames(); err != nil {
		return err
	}
	switch {
	case r.store == nil:
		return fmt.Errorf("%w: the relay has no store: give one to New", ErrInvalid)
	case r.client == nil:
		return fmt.Errorf("%w: the relay has no Kafka client: give one to New", ErrInvalid)
	case r.logger == nil:
		return fmt.Errorf("%w: WithLogger(nil): give a logger, or leave the option out", ErrInvalid)
	case r.batch < 1:
		return fmt.Errorf("%w: batch of %d events: give at least 1", ErrInvalid, r.batch)
	case r.poll <= 0:
		return fmt.Errorf("%w: poll every %s: give a time above zero", ErrInvalid, r.poll)
	case r.replication < 0:
		return fmt.Errorf("%w: %d replicas: give at least 1, or 0 for the broker's default", ErrInvalid, r.replication)
	case r.lease < leastLease:
		return fmt.Errorf("%w: lease of %s: give at least %s", ErrInvalid, r.lease, leastLease)
	case r.partitions < 1:
		return fmt.Errorf("%w: %d partitions: give at least 1", ErrInvalid, r.partitions)
	}
	for topic, n := range r.byTopic {
		if n < 1 {
			return fmt.Errorf("%w: %d partitions for %s: give at least 1", ErrInvalid, n, topic)
		}
	}
	return r.validateMappings()
}

// validateMappings refuses what could not be told apart afterwards.
func (r *Relay) validateMappings() error {
	if r.mostHeld < 1 || r.retryHeld <= 0 {
		return fmt.Errorf("%w: WithHeld of %d streams, WithHeldRetry of %s: give more than zero", ErrInvalid, r.mostHeld, r.retryHeld)
	}
	names := map[string]bool{}
	for category, list := range r.mappings {
		topics := map[string]bool{}
		for _, m := range list {
			if err := m.Validate(); err != nil {
				return fmt.Errorf("%w: %w", ErrInvalid, err)
			}
			if names[m.Name()] {
				return fmt.Errorf("%w: two mappings of name %s: what they cannot publish is remembered by it", ErrInvalid, m.Name())
			}
			if topics[m.Topic()] {
				return fmt.Errorf("%w: two mappings of category %s to topic %s: consumers would take the one for a repetition of the other", ErrInvalid, category, m.Topic())
			}
			if slices.Contains(r.ended, m.Name()) {
				return fmt.Errorf("%w: mapping %s is given, and said to have ended", ErrInvalid, m.Name())
			}
			names[m.Name()], topics[m.Topic()] = true, true
		}
	}
	return nil
}

// validateNames refuses a prefix with which Kafka would not take every category that
// the store takes.
func (r *Relay) validateNames() error {
	switch {
	case r.source == "":
		return fmt.Errorf("%w: the source is empty: give a URI such as \"/orders\"", ErrInvalid)
	case len(r.source) > maxSource:
		return fmt.Errorf("%w: the source has %d bytes: give at most %d", ErrInvalid, len(r.source), maxSource)
	case !utf8.ValidString(r.source) || strings.ContainsFunc(r.source, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }):
		return fmt.Errorf("%w: the source %q: give a URI such as \"/orders\", in UTF-8 without spaces and control characters", ErrInvalid, r.source)
	case strings.HasPrefix(r.prefix, "_"), strings.HasPrefix(r.prefix, "."):
		return fmt.Errorf("%w: topic prefix %q: Kafka keeps topics that begin with __ for itself, and knows no difference between . and _: begin it with a letter or a digit", ErrInvalid, r.prefix)
	case len(r.prefix) > maxTopic-es.MaxCategory:
		return fmt.Errorf("%w: topic prefix of %d bytes: give at most %d, as a category has up to %d and a topic's name up to %d", ErrInvalid, len(r.prefix), maxTopic-es.MaxCategory, es.MaxCategory, maxTopic)
	}
	if err := kafka.ValidTopicPrefix(r.prefix); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}
