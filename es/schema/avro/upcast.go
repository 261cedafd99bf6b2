package avro

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/asof-dev/asof/es"
)

// Upcast makes a payload of a schema version one of the next, where both are Avro: Old and New
// fit the schemas of the two versions. What was written by another schema than the old one is
// read as [New] has it. A text that is no schema, or that its type does not fit, panics.
func Upcast[Old, New any](eventType string, schema int, oldSchema, newSchema string, up func(Old) (New, error)) es.Upcaster {
	from, to := typed[Old](eventType, schema, oldSchema), typed[New](eventType, schema+1, newSchema)
	return es.Upcaster{Type: eventType, Schema: schema, Up: func(ctx context.Context, p es.Payload) ([]es.Payload, error) {
		var old Old
		if err := from.read(ctx, p.Data, &old); err != nil {
			return nil, err
		}
		next, err := up(old)
		if err != nil {
			return nil, err
		}
		return one(to.payload(eventType, schema+1, next))
	}}
}

// UpcastJSON makes a payload of a schema version, which is JSON, one of the next, which is
// Avro: for a type that has changed its codec.
func UpcastJSON[Old, New any](eventType string, schema int, newSchema string, up func(Old) (New, error)) es.Upcaster {
	to := typed[New](eventType, schema+1, newSchema)
	return es.Upcaster{Type: eventType, Schema: schema, Up: func(_ context.Context, p es.Payload) ([]es.Payload, error) {
		var old Old
		if err := json.Unmarshal(p.Data, &old); err != nil {
			return nil, err
		}
		next, err := up(old)
		if err != nil {
			return nil, err
		}
		return one(to.payload(eventType, schema+1, next))
	}}
}

// Split makes several events of one, or none: Old fits the old schema, and what split returns are
// events of the types that are given, as the program has them now. See [es.SplitJSON].
func Split[Old any](eventType string, schema int, oldSchema string, split func(Old) ([]es.Event, error), into ...Type) es.Upcaster {
	from, to := typed[Old](eventType, schema, oldSchema), New[es.Event](into...)
	return es.Upcaster{Type: eventType, Schema: schema, Up: func(ctx context.Context, p es.Payload) ([]es.Payload, error) {
		var old Old
		if err := from.read(ctx, p.Data, &old); err != nil {
			return nil, err
		}
		events, err := split(old)
		if err != nil {
			return nil, err
		}
		parts := make([]es.Payload, len(events))
		for i, event := range events {
			e, err := to.Encode(ctx, es.StreamID{}, event)
			if err != nil {
				return nil, err
			}
			parts[i] = es.Payload{Type: e.Type, Schema: e.Schema, ContentType: e.ContentType, Data: e.Data, Contract: e.Contract}
		}
		return parts, nil
	}}
}

// typed is a reader of a schema that a Go type fits.
func typed[T any](eventType string, version int, text string) *reader {
	s, err := parseSchema(text)
	if err == nil {
		err = fits(reflect.TypeFor[T](), s)
	}
	if err != nil {
		panic(fmt.Sprintf("avro: upcast of %s, schema %d: %v", eventType, version, err))
	}
	return newReader(s, false)
}

func (r *reader) payload(eventType string, version int, value any) (es.Payload, error) {
	data, err := r.own.AppendSingleObject(nil, value)
	return es.Payload{Type: eventType, Schema: version, ContentType: ContentType, Data: data, Contract: &r.own.contract}, err
}

func one(p es.Payload, err error) ([]es.Payload, error) {
	if err != nil {
		return nil, err
	}
	return []es.Payload{p}, nil
}
