// Package mapping says what is published of events: a contract for others, apart from the
// shape that the log has them in.
//
//	v2 := mapping.Of(mapping.Config[order.Event, orderevents.Event]{
//		Name: "order-events-v2", Category: "order",
//		Codec: order.Codec, Public: orderevents.Codec,
//		Map: func(_ context.Context, e order.Event, _ es.Recorded) ([]orderevents.Event, error) { … },
//	})
//	relay := outbox.New(store, client, "/orders", outbox.WithMappings(v2))
//
// An event may become another one, with another name, other fields and another format, or
// several, or nothing. Several mappings of a category go to topics side by side, as two
// versions of a contract do while consumers move from one to the other. What a mapping makes
// of an event keeps its stream, version, id, time and metadata: consumers tell by them what
// they have had.
package mapping

import (
	"context"
	"fmt"

	"github.com/asof-dev/asof/es"
)

// Mapping is what is published of the events of a category, to one topic. [Of] and [Plain]
// make one.
type Mapping struct {
	name, category, topic string
	sparse                bool
	publish               func(ctx context.Context, e es.RecordedEvent) ([]Public, error)
	invalid               error
}

// Public is an event as it is published, and the contract by which it is written, if it has
// one.
type Public struct {
	es.RecordedEvent
	Contract *es.Contract
}

// Config is a mapping of events of type E to public ones of type P.
type Config[E, P es.Event] struct {
	// Name is kept for ever: what could not be published is remembered by it. 1 to
	// [es.MaxCategory] bytes of the characters of a category.
	Name string
	// Category is whose events are published.
	Category string
	// Topic is where to, without the relay's prefix; the name unless it is given.
	Topic string
	// Codec reads the events of the log. It must know all types of the category.
	Codec es.Codec[E]
	// Public writes those that are published.
	Public es.Codec[P]
	// Map returns what is published of an event, in order. It must be a function of what it is
	// given alone: it is called again after a crash, and consumers take the same for granted.
	Map func(ctx context.Context, e E, r es.Recorded) ([]P, error)
	// Sparse says that Map returns nothing of some events. Then consumers cannot tell by a
	// stream's versions whether they have all, and do not wait for what is left out. Without
	// it, an event of which nothing is published is an error.
	Sparse bool
}

// Of returns the mapping of a configuration. One that cannot be is refused by [Mapping.Validate].
func Of[E, P es.Event](c Config[E, P]) Mapping {
	m := Mapping{name: c.Name, category: c.Category, topic: c.Topic, sparse: c.Sparse, publish: c.publish}
	if m.topic == "" {
		m.topic = m.name
	}
	switch {
	case c.Codec == nil || c.Public == nil:
		m.invalid = fmt.Errorf("%w: it has no codec: give Codec for the log's events and Public for those that are published", es.ErrInvalid)
	case c.Map == nil:
		m.invalid = fmt.Errorf("%w: it has no Map", es.ErrInvalid)
	}
	return m
}

// Plain publishes events as they are in the log, to a topic of any name: beside what other
// mappings of the category publish.
func Plain(category, topic string) Mapping {
	return Mapping{name: topic, category: category, topic: topic, publish: func(_ context.Context, e es.RecordedEvent) ([]Public, error) {
		return []Public{{RecordedEvent: e}}, nil
	}}
}

// Name is what the mapping is remembered by.
func (m Mapping) Name() string { return m.name }

// Category is whose events it publishes.
func (m Mapping) Category() string { return m.category }

// Topic is where to, without a prefix.
func (m Mapping) Topic() string { return m.topic }

// Sparse reports that nothing is published of some events.
func (m Mapping) Sparse() bool { return m.sparse }

// Validate says what a mapping lacks.
func (m Mapping) Validate() error {
	if m.publish == nil {
		return fmt.Errorf("mapping: %w: a Mapping of no value: make it by Of or Plain", es.ErrInvalid)
	}
	for what, name := range map[string]string{"name": m.name, "category": m.category, "topic": m.topic} {
		if err := (es.StreamID{Category: name, ID: "any"}).Validate(); err != nil {
			return fmt.Errorf("mapping %.40q: its %s: %w", m.name, what, err)
		}
	}
	if m.invalid != nil {
		return fmt.Errorf("mapping %s: %w", m.name, m.invalid)
	}
	return nil
}

// Publish returns what is published of an event: with its stream, version, id, position, time
// and metadata, and where it is several with their [es.Recorded.Part].
func (m Mapping) Publish(ctx context.Context, e es.RecordedEvent) (list []Public, err error) {
	defer func() {
		if v := recover(); v != nil {
			list, err = nil, fmt.Errorf("panic: %v", v)
		}
		if err != nil {
			err = fmt.Errorf("mapping %s: %s of %s version %d: %w", m.name, e.Type, e.Stream, e.Version, err)
		}
	}()
	list, err = m.publish(ctx, e)
	if err == nil && len(list) == 0 && !m.sparse {
		err = fmt.Errorf("%w: nothing is published of it: say Sparse, if consumers are to go on without", es.ErrInvalid)
	}
	return list, err
}

func (c Config[E, P]) publish(ctx context.Context, recorded es.RecordedEvent) ([]Public, error) {
	events, err := c.Codec.Decode(ctx, nil, recorded)
	if err != nil {
		return nil, err
	}
	var list []Public
	for i, event := range events {
		of, err := c.Map(ctx, event, recorded.PartOf(i, len(events)))
		if err != nil {
			return nil, err
		}
		for _, public := range of {
			data, err := c.Public.Encode(ctx, recorded.Stream, public)
			if err != nil {
				return nil, err
			}
			if err := es.ValidateAppend(recorded.Stream, es.Any, []es.EventData{data}); err != nil { // so that Kafka takes it
				return nil, err
			}
			next := Public{RecordedEvent: recorded, Contract: data.Contract}
			next.Type, next.Schema, next.ContentType, next.Data = data.Type, max(data.Schema, 1), data.ContentType, data.Data
			if next.ContentType == "" {
				next.ContentType = es.JSONContentType
			}
			list = append(list, next)
		}
	}
	for i := range list {
		list[i].Recorded = list[i].PartOf(i, len(list))
	}
	return list, nil
}
