package es

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Payload is what an event was recorded as: what a [Codec] decodes, and an [Upcaster] makes
// another of.
type Payload struct {
	Type        string
	Schema      int
	ContentType string
	Data        []byte
	// Contract is what an upcaster has written Data by, where that takes one to be read: those
	// that follow, and the codec, find it by [ContractOf]. What was recorded has none here.
	Contract *Contract
}

// Upcaster makes payloads of later types and schema versions of the payload of one: see
// [UpcastBytes], [UpcastJSON], [SplitJSON] and [Renamed].
type Upcaster struct {
	Type   string // that it takes
	Schema int    // that it takes, from 1
	// Up returns what comes next, of another schema version or type: one payload as a rule,
	// several where an event has become several, none where nobody reads it any more. It is a
	// pure function of the one that it is given, and may be called by several goroutines at
	// once; ctx is there to read that one, as by its contract ([ContractOf]). It copies of Data
	// what it keeps.
	Up func(ctx context.Context, p Payload) ([]Payload, error)
}

// UpcastBytes makes a payload of a schema version one of the next.
func UpcastBytes(eventType string, schema int, up func(data []byte) ([]byte, error)) Upcaster {
	return Upcaster{Type: eventType, Schema: schema, Up: func(_ context.Context, p Payload) ([]Payload, error) {
		data, err := up(p.Data)
		if err != nil {
			return nil, err
		}
		p.Schema, p.Data = schema+1, data
		return []Payload{p}, nil
	}}
}

// UpcastJSON makes a payload of a schema version one of the next, where both are JSON: Old
// and New have the fields that the two versions have.
func UpcastJSON[Old, New any](eventType string, schema int, up func(Old) (New, error)) Upcaster {
	return UpcastBytes(eventType, schema, func(data []byte) ([]byte, error) {
		var old Old
		if err := json.Unmarshal(data, &old); err != nil {
			return nil, err
		}
		next, err := up(old)
		if err != nil {
			return nil, err
		}
		return json.Marshal(next)
	})
}

// SplitJSON makes several events of one, or none, where all are JSON: Old has the fields that
// the version has, and what split returns are events as the program has them now. They take
// the place of the one at its version, in the order in which they are returned: see
// [Recorded.Part].
func SplitJSON[Old any](eventType string, schema int, split func(Old) ([]Event, error)) Upcaster {
	return Upcaster{Type: eventType, Schema: schema, Up: func(_ context.Context, p Payload) ([]Payload, error) {
		var old Old
		if err := json.Unmarshal(p.Data, &old); err != nil {
			return nil, err
		}
		events, err := split(old)
		if err != nil {
			return nil, err
		}
		parts := make([]Payload, len(events))
		for i, event := range events {
			data, err := json.Marshal(event)
			if err != nil {
				return nil, err
			}
			parts[i] = Payload{Type: event.EventType(), Schema: SchemaOf(event), ContentType: p.ContentType, Data: data}
		}
		return parts, nil
	}}
}

// Renamed reads the events of a type, of one schema version, as those of another type and
// version. The log keeps the old name.
func Renamed(oldType string, oldSchema int, newType string, newSchema int) Upcaster {
	same := func(data []byte) ([]byte, error) { return data, nil }
	return UpcastBytes(oldType, oldSchema, same).As(newType, newSchema)
}

// As gives what the upcaster makes another type and schema version: for an event whose fields
// have become those of another type.
func (u Upcaster) As(eventType string, schema int) Upcaster {
	up := u.Up
	u.Up = func(ctx context.Context, p Payload) ([]Payload, error) {
		parts, err := up(ctx, p)
		for i := range parts {
			parts[i].Type, parts[i].Schema = eventType, schema
		}
		return parts, err
	}
	return u
}

// Upcast returns a codec that reads the events of former schema versions too: it makes them
// what the codec reads, step by step. What the codec writes stays what it is. Two upcasters of
// one type and version are a mistake in the program, and Upcast panics. An upcaster that
// fails, and steps that go in a circle, are [ErrUndecodable].
func Upcast[E Event](codec Codec[E], steps ...Upcaster) Codec[E] {
	c := &upcasting[E]{Codec: codec, from: map[string]ladder{}}
	for _, s := range steps {
		if err := validType(s.Type); err != nil {
			panic(err)
		}
		if s.Schema < 1 || s.Up == nil {
			panic(fmt.Sprintf("es: upcaster of %s, schema %d: give a schema from 1 and a function", s.Type, s.Schema))
		}
		of, known := c.from[s.Type]
		if !known {
			of.up = map[int]func(context.Context, Payload) ([]Payload, error){}
		}
		if _, twice := of.up[s.Schema]; twice {
			panic(fmt.Sprintf("es: two upcasters of %s, schema %d: there may be one way up", s.Type, s.Schema))
		}
		of.up[s.Schema] = s.Up
		of.last = max(of.last, s.Schema)
		c.from[s.Type] = of
	}
	return c
}

type upcasting[E Event] struct {
	Codec[E]
	from map[string]ladder
}

// ladder are the upcasters of a type, by schema version; last is the highest.
type ladder struct {
	up   map[int]func(context.Context, Payload) ([]Payload, error)
	last int
}

// mostSteps is how many steps an event may take: more go in a circle.
const mostSteps = 1000

var errCircle = errors.New("the upcasters go in a circle")

func (c *upcasting[E]) Decode(ctx context.Context, into []E, recorded RecordedEvent) ([]E, error) {
	of := c.from[recorded.Type]
	if recorded.Schema > of.last || of.last == 0 { // as nearly all
		events, err := c.Codec.Decode(ctx, into, recorded)
		if err != nil && of.last > 0 && errors.Is(err, ErrUnknownType) { // of a type that is read up to a version
			err = &SchemaError{Event: recorded.Recorded, Reads: of.last}
		}
		return events, err
	}
	first := Payload{Type: recorded.Type, Schema: max(recorded.Schema, 1), ContentType: recorded.ContentType, Data: recorded.Data}
	if of.up[first.Schema] == nil {
		events, err := c.Codec.Decode(ctx, into, recorded)
		if errors.Is(err, ErrUnknownType) {
			err = incomplete(recorded.Recorded, first, err)
		}
		return events, err
	}
	payloads, err := c.up(ctx, recorded.Recorded, first)
	if err != nil {
		return into, err
	}
	events := into
	for _, p := range payloads {
		next := recorded
		next.Type, next.Schema, next.ContentType, next.Data = p.Type, p.Schema, p.ContentType, p.Data
		if events, err = c.Codec.Decode(knowing(ctx, p.Contract), events, next); err != nil {
			if errors.Is(err, ErrUnknownType) || errors.Is(err, ErrNewerSchema) || errors.Is(err, ErrUndecodable) {
				err = incomplete(recorded.Recorded, p, err)
			}
			return into, err
		}
	}
	return events, nil
}

// up takes all steps that there are, from a payload to those that none leads on from.
func (c *upcasting[E]) up(ctx context.Context, recorded Recorded, first Payload) ([]Payload, error) {
	type step struct {
		Payload
		taken int
	}
	var done []Payload
	for todo := []step{{first, 0}}; len(todo) > 0; { // what comes next is the last
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		up := c.from[p.Type].up[p.Schema]
		if up == nil {
			done = append(done, p.Payload)
			continue
		}
		parts, err := up(knowing(ctx, p.Contract), p.Payload)
		if err == nil && p.taken == mostSteps {
			err = errCircle
		}
		if errors.Is(err, ErrUnavailable) {
			return nil, err
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s of %s version %d: upcast %s from schema %d: %w", ErrUndecodable, recorded.Type, recorded.Stream, recorded.Version, p.Type, p.Schema, err)
		}
		for _, part := range slices.Backward(parts) {
			todo = append(todo, step{part, p.taken + 1})
		}
	}
	return done, nil
}

// incomplete is what an event is that becomes what is not read: it is not newer than the
// program, nor unknown, so the program is wrong.
func incomplete(recorded Recorded, p Payload, err error) error {
	return fmt.Errorf("%w: %s of %s version %d: upcast from schema %d to %s schema %d, which is not read: %s: complete the upcasters, or raise EventSchema",
		ErrUndecodable, recorded.Type, recorded.Stream, recorded.Version, max(recorded.Schema, 1), p.Type, p.Schema, err.Error())
}

// Types are those of the codec, and those that lead to them.
func (c *upcasting[E]) Types() []string {
	names := c.Codec.Types()
	for name := range c.from {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// WriteAs returns a codec that writes the events of a type by a former schema version, and
// reads them as the given codec does: for the deployment that is to read a new version, while
// processes still run that know the former alone. The next one leaves it out. Down makes the
// payload of the codec's version one of the version, and fails at what that cannot say: what
// is written must come back the same. The contract of the former version, where it has one, is in
// the log by what programs of before have written.
func WriteAs[E Event](codec Codec[E], eventType string, schema int, down func(data []byte) ([]byte, error)) Codec[E] {
	if !slices.Contains(written(codec), eventType) || schema < 1 || down == nil {
		panic(fmt.Sprintf("es: WriteAs of %s, schema %d: give a type that the codec writes, a schema from 1 and a function", eventType, schema))
	}
	return writingAs[E]{codec, eventType, schema, down}
}

// written are the types that a codec writes: those of an upcasting one are fewer than it reads.
func written[E Event](codec Codec[E]) []string {
	switch c := codec.(type) {
	case *upcasting[E]:
		return written(c.Codec)
	case writingAs[E]:
		return written(c.Codec)
	}
	return codec.Types()
}

type writingAs[E Event] struct {
	Codec[E]
	eventType string
	schema    int
	down      func([]byte) ([]byte, error)
}

func (c writingAs[E]) Encode(ctx context.Context, stream StreamID, event E) (EventData, error) {
	data, err := c.Codec.Encode(ctx, stream, event)
	if err != nil || data.Type != c.eventType {
		return data, err
	}
	if data.Schema <= c.schema {
		return EventData{}, fmt.Errorf("%w: WriteAs of %s, schema %d: the codec writes schema %d, which is none later: leave WriteAs out", ErrInvalid, c.eventType, c.schema, data.Schema)
	}
	if data.Data, err = c.down(data.Data); err != nil {
		return EventData{}, fmt.Errorf("%w: encode %s as of schema %d: %w", ErrInvalid, c.eventType, c.schema, err)
	}
	data.Schema, data.Contract = c.schema, nil // which is of the later version
	return data, nil
}
