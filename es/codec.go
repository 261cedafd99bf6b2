package es

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Codec turns a service's events into bytes and back. It is safe for concurrent use.
type Codec[E Event] interface {
	// Encode returns an event that is to be appended to a stream, with a new id, its type,
	// schema, content type and payload. Its errors match [ErrUnknownType] for a type that
	// Decode would not know, [ErrInvalid] or [ErrUnavailable].
	Encode(ctx context.Context, stream StreamID, event E) (EventData, error)
	// Decode appends to into what was recorded: one event, as a rule, and several or none
	// where an upcaster has split it. Its errors match [ErrUnknownType], [ErrNewerSchema] or
	// [ErrUndecodable] and name the event, or [ErrUnavailable] where it asks somebody who does
	// not answer. It must copy of recorded.Data what it keeps, as an UnmarshalJSON must: that
	// memory may be another event's afterwards.
	Decode(ctx context.Context, into []E, recorded RecordedEvent) ([]E, error)
	// Types lists the type names that Decode knows, sorted.
	Types() []string
}

// One returns the only event of what a codec has decoded, and fails when there is none, or
// there are several: for a program that has no upcasters which split events.
//
//	event, err := es.One(codec.Decode(ctx, nil, recorded))
func One[E Event](events []E, err error) (E, error) {
	var none E
	if err != nil {
		return none, err
	}
	if len(events) != 1 {
		return none, fmt.Errorf("%w: it has become %d events, and one is wanted", ErrInvalid, len(events))
	}
	return events[0], nil
}

// JSON returns a codec that stores each of the given event types as JSON, by the
// rules of encoding/json. Give one value of every type, by value or by pointer as
// the service uses them; it is only looked at. Two types of one name are a
// mistake in the program, and JSON panics.
//
// A payload has the schema version that its type declares (see [Versioned]), and one of another
// version is not decoded: of a later one it is [ErrNewerSchema], of a former one
// [ErrUndecodable], which an upcaster cures (see [Upcast]). Raise the version with a change
// after which the Go type would read former payloads wrongly: a field that is renamed, or
// means something else. A field more needs none: decoding ignores fields that the Go type does
// not have, so an older binary reads a newer event, and what a payload does not have is left
// zero. A type that wants no such fields says so: see [Strict].
func JSON[E Event](examples ...E) Codec[E] {
	c := jsonCodec[E]{types: make(map[string]jsonType, len(examples))}
	for _, example := range examples {
		name := example.EventType()
		if err := validType(name); err != nil {
			panic(err)
		}
		if other, twice := c.types[name]; twice {
			panic(fmt.Sprintf("es: event type %q is given for %v and %T: each needs a name of its own", name, other.Type, example))
		}
		c.types[name] = jsonTypeOf(example)
	}
	return c
}

// SchemaOf is the schema version that an event's type declares: see [Versioned]. One below 1 is
// a mistake in the program, and SchemaOf panics.
func SchemaOf(event Event) int {
	v, ok := event.(Versioned)
	if !ok {
		return 1
	}
	schema := v.EventSchema()
	if schema < 1 {
		panic(fmt.Sprintf("es: %T says that it has schema %d: count from 1", event, schema))
	}
	return schema
}

type jsonCodec[E Event] struct{ types map[string]jsonType }

func (c jsonCodec[E]) Encode(_ context.Context, _ StreamID, event E) (EventData, error) {
	name := event.EventType()
	if known, ok := c.types[name]; !ok || known.Type != reflect.TypeOf(event) {
		return EventData{}, fmt.Errorf("%w: %T as %q: add it to the codec, or it could not be read back", ErrUnknownType, event, name)
	}
	data, err := json.Marshal(event)
	if err != nil {
		return EventData{}, fmt.Errorf("%w: encode %s: %w", ErrInvalid, name, err)
	}
	return EventData{ID: NewID(), Type: name, Schema: c.types[name].schema, Data: data}, nil
}

func (c jsonCodec[E]) Decode(_ context.Context, into []E, recorded RecordedEvent) ([]E, error) {
	goType, ok := c.types[recorded.Type]
	if !ok {
		return into, fmt.Errorf("%w: %q of %s version %d: add it to the codec", ErrUnknownType, recorded.Type, recorded.Stream, recorded.Version)
	}
	if max(recorded.Schema, 1) != goType.schema {
		return into, &SchemaError{Event: recorded.Recorded, Reads: goType.schema}
	}
	var event E
	err := unmarshal(recorded.Data, goType, func(value reflect.Value) error { // of T, or of *T when the service uses pointers
		ok := goType.Kind() != reflect.Pointer || !value.IsNil()
		if ok {
			event, ok = reflect.TypeAssert[E](value)
		}
		if !ok {
			return errNullPayload
		}
		return nil
	})
	if err != nil {
		return into, fmt.Errorf("%w: %s of %s version %d: %w", ErrUndecodable, recorded.Type, recorded.Stream, recorded.Version, err)
	}
	return append(into, event), nil
}

var errNullPayload = errors.New("the payload is null")

func (c jsonCodec[E]) Types() []string {
	names := make([]string, 0, len(c.types))
	for name := range c.types {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
