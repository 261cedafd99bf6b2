package es

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Widen makes a codec of an aggregate's events one of a wider type's, such as the events of a
// service: Wide is an interface that E implements. An event of another type is
// [ErrUnknownType] to it.
//
//	codec := es.Merge(es.Widen[Event](order.Codec), es.Widen[Event](payment.Codec))
func Widen[Wide, E Event](codec Codec[E]) Codec[Wide] {
	return widened[Wide, E]{codec, &sync.Pool{New: func() any { return new([]E) }}}
}

type widened[Wide, E Event] struct {
	of      Codec[E]
	scratch *sync.Pool // of *[]E
}

func (c widened[Wide, E]) Encode(ctx context.Context, stream StreamID, event Wide) (EventData, error) {
	own, ok := any(event).(E)
	if !ok {
		return EventData{}, fmt.Errorf("%w: %T as %q: add it to the codec, or it could not be read back", ErrUnknownType, event, event.EventType())
	}
	return c.of.Encode(ctx, stream, own)
}

func (c widened[Wide, E]) Decode(ctx context.Context, into []Wide, recorded RecordedEvent) ([]Wide, error) {
	scratch := c.scratch.Get().(*[]E) //nolint:forcetypeassert // New makes nothing else
	defer func() {
		clear(*scratch)
		c.scratch.Put(scratch)
	}()
	before := len(into)
	events, err := c.of.Decode(ctx, (*scratch)[:0], recorded)
	if err != nil {
		return into, err
	}
	*scratch = events
	for _, event := range events {
		wide, ok := any(event).(Wide)
		if !ok {
			return into[:before], fmt.Errorf("%w: %q of %s version %d: %T is no %T", ErrUnknownType, recorded.Type, recorded.Stream, recorded.Version, event, &wide)
		}
		into = append(into, wide)
	}
	return into, nil
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

func (c merged[E]) Encode(ctx context.Context, stream StreamID, event E) (EventData, error) {
	name := event.EventType()
	codec, ok := c[name]
	if !ok {
		return EventData{}, fmt.Errorf("%w: %T as %q: add it to a codec, or it could not be read back", ErrUnknownType, event, name)
	}
	return codec.Encode(ctx, stream, event)
}

func (c merged[E]) Decode(ctx context.Context, into []E, recorded RecordedEvent) ([]E, error) {
	codec, ok := c[recorded.Type]
	if !ok {
		return into, fmt.Errorf("%w: %q of %s version %d: add it to a codec", ErrUnknownType, recorded.Type, recorded.Stream, recorded.Version)
	}
	return codec.Decode(ctx, into, recorded)
}

func (c merged[E]) Types() []string {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
