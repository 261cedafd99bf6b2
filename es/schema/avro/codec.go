package avro

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/asof-dev/asof/es"
)

// ContentType is the content type of payloads that are Avro.
const ContentType = "application/avro"

// Type is a type of event and the schema that its payloads are written by: see [Of].
type Type struct {
	example es.Event
	schema  string
}

// Of gives a type of event its schema: the example is only looked at. Fields of the schema are
// those of the Go type by the tag avro, or by their names as they are.
func Of(example es.Event, schema string) Type { return Type{example, schema} }

// New returns a codec that stores each of the types in Avro's single-object encoding: the
// fingerprint of the schema, then the data. The log keeps the schema ([es.Contract]), so that
// whatever was written is read for ever, and without a registry.
//
// A payload has the schema version that its type declares, and one of another version is not
// decoded, as [es.JSON] has it. Within a version it is read by the schema that it was written
// by, whatever [CanRead] says this one reads: a field more with a default, an int that has
// become a long, another name with the old one as an alias. What does not go is
// [es.ErrUndecodable] and says why.
//
// A fingerprint does not tell of logical types, such as the scale of a decimal. So where a
// schema has some, the contract is asked for with each payload ([es.WithContracts]), which
// sources have in memory. Where there is none to be had, and the fingerprint is that of the
// program's own schema, it is assumed that its logical types were the writer's too: bring the
// contracts along wherever that may not be so.
//
// Mistakes in the program panic: two types of one name, a text that is no schema, a Go type
// that it does not fit.
func New[E es.Event](types ...Type) es.Codec[E] {
	c := make(codec[E], len(types))
	for _, t := range types {
		if _, ok := t.example.(E); !ok {
			panic(fmt.Sprintf("avro: %T is no event of the codec's: give a value of a type that is", t.example))
		}
		name := t.example.EventType()
		if err := es.ValidateType(name); err != nil {
			panic(err)
		}
		if other, twice := c[name]; twice {
			panic(fmt.Sprintf("avro: event type %q is given for %v and %T: each needs a name of its own", name, other.goType, t.example))
		}
		k, err := newKnown(t)
		if err != nil {
			panic(fmt.Sprintf("avro: event type %q: %v", name, err))
		}
		c[name] = k
	}
	return c
}

// codec are the types that it knows, by name.
type codec[E es.Event] map[string]*known

// known is a type of event.
type known struct {
	*reader
	goType  reflect.Type
	version int
	scratch *sync.Pool // of pointers to values that are zero; for a type that is no pointer
}

func newKnown(t Type) (*known, error) {
	s, err := parseSchema(t.schema)
	if err != nil {
		return nil, err
	}
	goType := reflect.TypeOf(t.example)
	if err := fits(goType, s); err != nil {
		return nil, err
	}
	strict, ok := t.example.(es.Strict)
	return &known{
		reader: newReader(s, ok && strict.EventStrict()), goType: goType, version: es.SchemaOf(t.example),
		scratch: &sync.Pool{New: func() any { return reflect.New(goType).Interface() }},
	}, nil
}

func (c codec[E]) Encode(_ context.Context, _ es.StreamID, event E) (es.EventData, error) {
	name := event.EventType()
	k, ok := c[name]
	if !ok || k.goType != reflect.TypeOf(event) {
		return es.EventData{}, fmt.Errorf("%w: %T as %q: add it to the codec, or it could not be read back", es.ErrUnknownType, event, name)
	}
	data, err := k.own.AppendSingleObject(nil, event)
	if err != nil {
		return es.EventData{}, fmt.Errorf("%w: encode %s: %w", es.ErrInvalid, name, err)
	}
	return es.EventData{ID: es.NewID(), Type: name, Schema: k.version, ContentType: ContentType, Data: data, Contract: &k.own.contract}, nil
}

func (c codec[E]) Decode(ctx context.Context, into []E, recorded es.RecordedEvent) ([]E, error) {
	k, ok := c[recorded.Type]
	if !ok {
		return into, fmt.Errorf("%w: %q of %s version %d: add it to the codec", es.ErrUnknownType, recorded.Type, recorded.Stream, recorded.Version)
	}
	if max(recorded.Schema, 1) != k.version {
		return into, &es.SchemaError{Event: recorded.Recorded, Reads: k.version}
	}
	event, err := decode[E](ctx, k, recorded.Data)
	if err != nil {
		return into, undecodable(recorded, err)
	}
	return append(into, event), nil
}

// decode makes an event: of T, or of *T when the service uses pointers.
func decode[E es.Event](ctx context.Context, k *known, data []byte) (event E, err error) {
	if k.goType.Kind() == reflect.Pointer {
		value := reflect.New(k.goType.Elem())
		err = k.read(ctx, data, value.Interface())
		event, _ = reflect.TypeAssert[E](value)
		return event, err
	}
	scratch := k.scratch.Get()
	if err := k.read(ctx, data, scratch); err != nil {
		return event, err
	}
	value := reflect.ValueOf(scratch).Elem()
	event, _ = reflect.TypeAssert[E](value)
	value.SetZero()
	k.scratch.Put(scratch)
	return event, nil
}

// undecodable names the event that an error is of. What passes is not undecodable.
func undecodable(recorded es.RecordedEvent, err error) error {
	kind := es.ErrUndecodable
	if errors.Is(err, es.ErrUnavailable) {
		kind = es.ErrUnavailable
	}
	return fmt.Errorf("%w: %s of %s version %d: %w", kind, recorded.Type, recorded.Stream, recorded.Version, err)
}

func (c codec[E]) Types() []string {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
