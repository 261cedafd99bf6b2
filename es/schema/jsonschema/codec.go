package jsonschema

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema"
)

// Type is a type of event with the schema of its payloads: see [Of].
type Type struct {
	example es.Event
	text    string
	checked bool
}

// Of is a type of event, given by a value of it, with its JSON Schema. A value with something
// in it must be valid by the schema. Of an empty one its fields are filled in, and the types
// and names that they have in JSON must be the schema's.
func Of(example es.Event, schema string) Type { return Type{example: example, text: schema} }

// Checked is the type whose payloads are checked when they are decoded too, as those of a topic
// must be that others write to: what is not valid by the schema is [es.ErrUndecodable].
//
// What is checked are the names as they are written, while encoding/json takes TOTAL for a field
// total as well: a schema that closes its objects refuses such names.
func (t Type) Checked() Type {
	t.checked = true
	return t
}

// New returns a codec that stores each of the given types as [es.JSON] does, with the same
// bytes, versions and errors, and whose payloads have their JSON Schema as contract. What is not
// valid by it is not encoded: it is [es.ErrInvalid], and the error tells the place and the rule,
// but not the value, which may be a secret.
//
// Mistakes in the program panic: those of es.JSON, a text that is no schema or refers to
// another, and a schema that its Go type does not fit.
func New[E es.Event](types ...Type) es.Codec[E] {
	examples := make([]E, len(types))
	for i, t := range types {
		e, ok := t.example.(E)
		if !ok {
			panic(fmt.Sprintf("jsonschema: %T is none of the codec's events: give an example that is a %v", t.example, reflect.TypeFor[E]()))
		}
		examples[i] = e
	}
	c := codec[E]{es.JSON(examples...), make(map[string]contract, len(types))}
	for i, t := range types {
		name := examples[i].EventType()
		of, err := newContract(t)
		if err == nil {
			err = of.fits(t.example)
		}
		if err != nil {
			panic(fmt.Sprintf("jsonschema: the schema of %s: %v", name, err))
		}
		c.contracts[name] = of
	}
	return c
}

type codec[E es.Event] struct {
	es.Codec[E]
	contracts map[string]contract
}

// contract is a schema that payloads are checked by.
type contract struct {
	es.Contract
	*validators
	checked bool
}

func newContract(t Type) (contract, error) {
	if n := len(t.text); n == 0 || n > es.MaxContract || !utf8.ValidString(t.text) {
		return contract{}, fmt.Errorf("it has %d bytes: give 1 to %d bytes of UTF-8", n, es.MaxContract)
	}
	v, err := newValidators(t.text)
	if err != nil {
		return contract{}, err
	}
	sum := sha256.Sum256([]byte(t.text))
	return contract{es.Contract{Kind: string(schema.JSON), Fingerprint: hex.EncodeToString(sum[:]), Text: t.text}, v, t.checked}, nil
}

func (c codec[E]) Encode(ctx context.Context, stream es.StreamID, event E) (es.EventData, error) {
	data, err := c.Codec.Encode(ctx, stream, event)
	if err != nil {
		return data, err
	}
	of := c.contracts[data.Type]
	if err := of.check(data.Data); err != nil {
		return es.EventData{}, fmt.Errorf("%w: encode %s: %w", es.ErrInvalid, data.Type, err)
	}
	data.Contract = &of.Contract
	return data, nil
}

func (c codec[E]) Decode(ctx context.Context, into []E, recorded es.RecordedEvent) ([]E, error) {
	events, err := c.Codec.Decode(ctx, into, recorded)
	if of := c.contracts[recorded.Type]; err == nil && of.checked {
		if err := of.check(recorded.Data); err != nil {
			return into, fmt.Errorf("%w: %s of %s version %d: %w", es.ErrUndecodable, recorded.Type, recorded.Stream, recorded.Version, err)
		}
	}
	return events, err
}
