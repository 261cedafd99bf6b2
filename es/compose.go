package es

import (
	"fmt"
	"slices"
)

// Widen makes a codec of an aggregate's events one of a wider type's, such as the events of a
// service: Wide is an interface that E implements. An event of another type is
// [ErrUnknownType] to it.
//
//	codec := es.Merge(es.Widen[Event](order.Codec), es.Widen[Event](payment.Codec))
func Widen[Wide, E Event](codec Codec[E]) Codec[Wide] { return widened[Wide, E]{codec} }

type widened[Wide, E Event] struct{ of Codec[E] }

func (c widened[Wide, E]) Encode(event Wide) (EventData, error) {
	own, ok := any(event).(E)
	if !ok {
		return EventData{}, fmt.Errorf("%w: %T as %q: add it to the codec, or it could not be read back", ErrUnknownType, event, event.EventType())
	}
	return c.of.Encode(own)
}

func (c widened[Wide, E]) Decode(recorded RecordedEvent) (Wide, error) {
	var none Wide
	event, err := c.of.Decode(recorded)
	if err != nil {
		return none, err
	}
	wide, ok := any(event).(Wide)
	if !ok {
		return none, fmt.Errorf("%w: %q of %s version %d: %T is no %T", ErrUnknownType, recorded.Type, recorded.Stream, recorded.Version, event, &none)
	}
	return wide, nil
}

func (c widened[Wide, E]) Types() []string { return c.of.Types() }

// Merge makes one codec of several: each has its types. A type that two have is a mistake in
// the program, and Merge panics.
func Merge[E Event](codecs ...Codec[E]) Codec[E] {
	c := merged[E]{}
	for _, codec := range codecs {
		for _, name := range codec.Types() {
			if _, twice := c[name]; twice {
				panic(fmt.Sprintf("es: event type %q is in two of the codecs: each needs a name of its own", name))
			}
			c[name] = codec
		}
	}
	return c
}

type merged[E Event] map[string]Codec[E]

func (c merged[E]) Encode(event E) (EventData, error) {
	name := event.EventType()
	codec, ok := c[name]
	if !ok {
		return EventData{}, fmt.Errorf("%w: %T as %q: add it to a codec, or it could not be read back", ErrUnknownType, event, name)
	}
	return codec.Encode(event)
}

func (c merged[E]) Decode(recorded RecordedEvent) (E, error) {
	codec, ok := c[recorded.Type]
	if !ok {
		var none E
		return none, fmt.Errorf("%w: %q of %s version %d: add it to a codec", ErrUnknownType, recorded.Type, recorded.Stream, recorded.Version)
	}
	return codec.Decode(recorded)
}

func (c merged[E]) Types() []string {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
