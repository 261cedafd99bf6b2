package protobuf

import (
	"context"
	"encoding/json"

	"google.golang.org/protobuf/proto"

	"github.com/asof-dev/asof/es"
)

// Upcast makes a payload of a schema version one of the next, where both are Protobuf: Old and
// New are the generated messages of the two versions.
func Upcast[Old, New proto.Message](eventType string, schema int, up func(Old) (New, error)) es.Upcaster {
	return es.Upcaster{Type: eventType, Schema: schema, Up: func(_ context.Context, p es.Payload) ([]es.Payload, error) {
		old, err := readAs[Old](p)
		if err != nil {
			return nil, err
		}
		next, err := up(old)
		if err != nil {
			return nil, err
		}
		return one(eventType, schema+1, next)
	}}
}

// UpcastJSON makes a payload of a schema version, which is JSON, one of the next, which is
// Protobuf: for a type that has changed its codec.
func UpcastJSON[Old any, New proto.Message](eventType string, schema int, up func(Old) (New, error)) es.Upcaster {
	return es.Upcaster{Type: eventType, Schema: schema, Up: func(_ context.Context, p es.Payload) ([]es.Payload, error) {
		var old Old
		if err := json.Unmarshal(p.Data, &old); err != nil {
			return nil, err
		}
		next, err := up(old)
		if err != nil {
			return nil, err
		}
		return one(eventType, schema+1, next)
	}}
}

// Event is a generated message that is an event: see [New].
type Event interface {
	es.Event
	proto.Message
}

// Split makes several events of one, or none: Old is the generated message of the version, and
// what split returns are events as the program has them now. See [es.SplitJSON].
func Split[Old proto.Message](eventType string, schema int, split func(Old) ([]Event, error)) es.Upcaster {
	return es.Upcaster{Type: eventType, Schema: schema, Up: func(_ context.Context, p es.Payload) ([]es.Payload, error) {
		old, err := readAs[Old](p)
		if err != nil {
			return nil, err
		}
		events, err := split(old)
		if err != nil {
			return nil, err
		}
		var parts []es.Payload
		for _, event := range events {
			part, err := one(event.EventType(), es.SchemaOf(event), event)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part...)
		}
		return parts, nil
	}}
}

// readAs reads a payload as a message.
func readAs[M proto.Message](p es.Payload) (M, error) {
	var none M
	message, _ := none.ProtoReflect().New().Interface().(M) // as none is
	return message, unmarshal(p.ContentType, p.Data, message)
}

func one(eventType string, version int, message proto.Message) ([]es.Payload, error) {
	data, err := marshal(message)
	if err != nil {
		return nil, err
	}
	return []es.Payload{{Type: eventType, Schema: version, ContentType: ContentType, Data: data}}, nil
}
