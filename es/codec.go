package es

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Codec turns a service's events into bytes and back.
type Codec[E Event] interface {
	// Encode returns the event with a new id, its type, schema, content type and
	// payload. Its errors match [ErrUnknownType] for a type that Decode would not
	// know, or [ErrInvalid].
	Encode(event E) (EventData, error)
	// Decode returns the event. Its errors match [ErrUnknownType], [ErrNewerSchema] or
	// [ErrUndecodable] and name the event. It must copy of recorded.Data what it keeps, as
	// an UnmarshalJSON must: that memory may be another event's afterwards.
	Decode(recorded RecordedEvent) (E, error)
	// Types lists the type names that Decode knows, sorted.
	Types() []string
}

// JSON returns a codec that stores each of the given event types as JSON, by the
// rules of encoding/json. Give one value of every type, by value or by pointer as
// the service uses them; it is only looked at. Two types of one name are a
// mistake in the program, and JSON panics.
//
// A payload has the schema version that its type declares (see [Versioned]), and one of another
// version is not decoded: of a later one it is [ErrNewerSchema], of a former one
// [ErrUndecodable], which an upcaster cures (see [Upcast]). Raise the version with a change after which the
// Go type would read former payloads wrongly: a field that is renamed, or means something
// else. A field more needs none: decoding ignores fields that the Go type does not have, so
// an older binary reads a newer event, and what a payload does not have is left zero.
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
		c.types[name] = jsonTypeOf(reflect.TypeOf(example), schemaOf(example))
	}
	return c
}

// schemaOf is the schema version that an event's type declares.
func schemaOf(event Event) int {
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

func (c jsonCodec[E]) Encode(event E) (EventData, error) {
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

func (c jsonCodec[E]) Decode(recorded RecordedEvent) (E, error) {
	var none E
	goType, ok := c.types[recorded.Type]
	if !ok {
		return none, fmt.Errorf("%w: %q of %s version %d: add it to the codec", ErrUnknownType, recorded.Type, recorded.Stream, recorded.Version)
	}
	if max(recorded.Schema, 1) != goType.schema {
		return none, &SchemaError{Event: recorded.Recorded, Reads: goType.schema}
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
		return none, fmt.Errorf("%w: %s of %s version %d: %w", ErrUndecodable, recorded.Type, recorded.Stream, recorded.Version, err)
	}
	return event, nil
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
