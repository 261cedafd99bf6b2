package source

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// Kafka reads Kafka, and the log where Kafka has holes.
type Kafka struct {
	Client *kafka.Client
	Prefix string
	Names  []string // of topics, without the prefix; none: the categories
	Source string   // ce_source; empty: any
	Every  time.Duration
	topics []string
	wanted map[string]bool // categories
}

// Check implements [Source].
func (s *Kafka) Check(feed *Feed) error {
	if err := s.checkTopics(feed); err != nil {
		return err
	}
	s.name(feed)
	return nil
}

func (s *Kafka) checkTopics(feed *Feed) error {
	d := feed.Applier.Def
	switch {
	case s.Client == nil:
		return fmt.Errorf("%w: %q: FromKafka needs a client", fault.ErrInvalid, d.Name)
	case len(d.Categories) == 0:
		return fmt.Errorf("%w: %q: FromKafka needs Categories: what else a topic has is left alone", fault.ErrInvalid, d.Name)
	case d.Order == fold.LogOrder:
		return fmt.Errorf("%w: %q: its rows need the log's order, and Kafka keeps that of each stream alone: follow the log, or say in the definition that Order is OneStream or Commuting, if it is", fault.ErrInvalid, d.Name)
	case slices.Contains(s.Names, ""):
		return fmt.Errorf("%w: %q: WithTopics with an empty name: name topics", fault.ErrInvalid, d.Name)
	case s.Every <= 0:
		return fmt.Errorf("%w: %q: WithLogCheck of %s: give more than zero", fault.ErrInvalid, d.Name, s.Every)
	}
	return nil
}

// name makes the names of the topics, each once.
func (s *Kafka) name(feed *Feed) {
	s.wanted = map[string]bool{}
	for _, category := range feed.Applier.Def.Categories {
		s.wanted[category] = true
	}
	names := s.Names
	if len(names) == 0 {
		names = feed.Applier.Def.Categories
	}
	for _, name := range names {
		if topic := s.Prefix + name; !slices.Contains(s.topics, topic) {
			s.topics = append(s.topics, topic)
		}
	}
}

// InOrder are the topics in the order in which they were given.
func (s *Kafka) InOrder() []string { return s.topics }

// Kind implements [Source].
func (s *Kafka) Kind() string { return books.KindKafka }

func (s *Kafka) String() string {
	if len(s.topics) == 1 {
		return "kafka topic " + s.topics[0]
	}
	return "kafka topics " + strings.Join(s.topics, ", ")
}

// Follow reads Kafka and watches the log at the same time.
func (s *Kafka) Follow(ctx context.Context, feed *Feed, b books.Build) error {
	b, err := feed.Applier.InLife(ctx, b)
	if err != nil {
		return err
	}
	f := &follower{Kafka: s, feed: feed, b: b, room: feed.newRoom()}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.watchLog(ctx) })
	group.Go(func() error { return f.consume(ctx) })
	return group.Wait()
}

// event returns the event of a message; false when it is none of the projection's.
func (s *Kafka) event(m kafka.Message) (es.RecordedEvent, bool) {
	if s.Source != "" && kafka.Source(m) != s.Source {
		return es.RecordedEvent{}, false
	}
	e, err := kafka.ToEvent(m)
	return e, err == nil && s.wanted[e.Stream.Category]
}
