package protobuf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/asof-dev/asof/es"
)

// ContentType is the content type of payloads that are Protobuf.
const ContentType = "application/protobuf"

// New returns a codec that stores each of the given event types as Protobuf. The events are
// generated messages themselves: give them their EventType by a method in another file of their
// package. Give one value of every type; it is only looked at.
//
//	func (*Placed) EventType() string { return "order.placed" }
//
// A payload has the schema version that its type declares, and one of another version is not
// decoded, as [es.JSON] has it. Within a version messages change as [CanRead] allows. Fields
// that the program does not know are kept, unless the type is [es.Strict]: then they are
// [es.ErrUndecodable]. The log keeps the .proto text (see [Source]).
//
// Mistakes in the program panic: two types of one name, a type that is no message, a message
// of which there is no text in one piece.
func New[E es.Event](examples ...E) es.Codec[E] {
	c := make(codec[E], len(examples))
	for _, example := range examples {
		message, ok := any(example).(proto.Message)
		if !ok {
			panic(fmt.Sprintf("protobuf: %T is no message: give generated types that have EventType beside them", example))
		}
		name := example.EventType()
		if err := es.ValidateType(name); err != nil {
			panic(err)
		}
		if other, twice := c[name]; twice {
			panic(fmt.Sprintf("protobuf: event type %q is given for %v and %T: each needs a name of its own", name, other.goType, example))
		}
		contract, err := Contract(message.ProtoReflect().Descriptor())
		if err != nil {
			panic(fmt.Sprintf("protobuf: event type %q: %s", name, strings.TrimPrefix(err.Error(), "protobuf: ")))
		}
		strict, ok := any(example).(es.Strict)
		c[name] = &known{message.ProtoReflect().Type(), reflect.TypeOf(example), es.SchemaOf(example), ok && strict.EventStrict(), nests(message.ProtoReflect().Descriptor(), map[protoreflect.FullName]bool{}), contract}
	}
	return c
}

// Contract returns the contract of a message: its fingerprint is the SHA-256 of the text.
func Contract(message protoreflect.MessageDescriptor) (es.Contract, error) {
	text, err := Source(message)
	if err != nil {
		return es.Contract{}, fmt.Errorf("protobuf: %s: %w", message.FullName(), err)
	}
	if _, err := compile("message", text); err != nil {
		return es.Contract{}, err
	}
	sum := sha256.Sum256([]byte(text))
	return es.Contract{Kind: "PROTOBUF", Fingerprint: hex.EncodeToString(sum[:]), Text: text}, nil
}

// codec are the types that it knows, by name.
type codec[E es.Event] map[string]*known

// known is a type of event.
type known struct {
	message  protoreflect.MessageType
	goType   reflect.Type
	version  int
	strict   bool
	nests    bool // whether messages may stand within each other without an end
	contract es.Contract
}

func (c codec[E]) Encode(_ context.Context, _ es.StreamID, event E) (es.EventData, error) {
	name := event.EventType()
	k, ok := c[name]
	if !ok || k.goType != reflect.TypeOf(event) {
		return es.EventData{}, fmt.Errorf("%w: %T as %q: add it to the codec, or it could not be read back", es.ErrUnknownType, event, name)
	}
	message, _ := any(event).(proto.Message) // it is of the known type
	data, err := marshal(message)
	if err == nil && k.strict {
		err = noUnknown(message.ProtoReflect())
	}
	if err == nil && k.nests { // it may be deeper than is read
		err = unmarshal(ContentType, data, k.message.New().Interface())
	}
	if err != nil {
		return es.EventData{}, fmt.Errorf("%w: encode %s: %w", es.ErrInvalid, name, err)
	}
	return es.EventData{ID: es.NewID(), Type: name, Schema: k.version, ContentType: ContentType, Data: data, Contract: &k.contract}, nil
}

// marshal writes the same message the same way each time, as far as one version of the library
// goes.
func marshal(message proto.Message) ([]byte, error) {
	if !message.ProtoReflect().IsValid() {
		return nil, errors.New("the message is nil")
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(message)
}

func (c codec[E]) Decode(_ context.Context, into []E, recorded es.RecordedEvent) ([]E, error) {
	k, ok := c[recorded.Type]
	if !ok {
		return into, fmt.Errorf("%w: %q of %s version %d: add it to the codec", es.ErrUnknownType, recorded.Type, recorded.Stream, recorded.Version)
	}
	if max(recorded.Schema, 1) != k.version {
		return into, &es.SchemaError{Event: recorded.Recorded, Reads: k.version}
	}
	message, err := k.read(recorded)
	if err != nil {
		return into, err
	}
	event, _ := message.(E) // as the example is
	return append(into, event), nil
}

func (k *known) read(recorded es.RecordedEvent) (proto.Message, error) {
	message := k.message.New().Interface()
	err := unmarshal(recorded.ContentType, recorded.Data, message)
	if err == nil && k.strict {
		err = noUnknown(message.ProtoReflect())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s of %s version %d: %w", es.ErrUndecodable, recorded.Type, recorded.Stream, recorded.Version, err)
	}
	return message, nil
}

// deepestPayload is how deep messages may stand within each other in a payload.
const deepestPayload = 1000

// unmarshal reads a payload. What it is not is asked first: messages read much that is none. It
// keeps nothing of data, and reads all of it at once, so that what is wrong is found here.
func unmarshal(contentType string, data []byte, into proto.Message) error {
	switch contentType {
	case ContentType, "application/x-protobuf", "application/vnd.google.protobuf":
	default:
		return fmt.Errorf("the payload is %q and no Protobuf: if it was written by another codec, raise EventSchema and add an upcaster (protobuf.UpcastJSON)", contentType)
	}
	err := proto.UnmarshalOptions{RecursionLimit: deepestPayload, NoLazyDecoding: true}.Unmarshal(data, into)
	if err != nil {
		return fmt.Errorf("the payload is no %s, so it was damaged, or written by another program: %w", into.ProtoReflect().Descriptor().FullName(), err)
	}
	return nil
}

// nests reports a message that has itself within it, or one that has.
func nests(m protoreflect.MessageDescriptor, path map[protoreflect.FullName]bool) bool {
	if around, seen := path[m.FullName()]; seen {
		return around
	}
	path[m.FullName()] = true
	defer func() { path[m.FullName()] = false }()
	for i := range m.Fields().Len() {
		if of := m.Fields().Get(i).Message(); of != nil && nests(of, path) {
			return true
		}
	}
	return false
}

// noUnknown finds fields that the program does not know.
func noUnknown(message protoreflect.Message) error {
	if unknown := message.GetUnknown(); len(unknown) > 0 {
		return fmt.Errorf("%s has fields that this program does not know, and the event's type is strict: add them", message.Descriptor().FullName())
	}
	var err error
	message.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, of protoreflect.Value) bool {
				err = noUnknown(of.Message())
				return err == nil
			})
		case f.IsList() && f.Message() != nil:
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = noUnknown(v.List().Get(i).Message())
			}
		case !f.IsMap() && !f.IsList() && f.Message() != nil:
			err = noUnknown(v.Message())
		}
		return err == nil
	})
	return err
}

func (c codec[E]) Types() []string {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Describe returns a payload as JSON, by Protobuf's mapping and the names of the program's
// message: a payload does not say what it was written by. What the program does not know is
// not shown.
func (c codec[E]) Describe(_ context.Context, recorded es.RecordedEvent) ([]byte, error) {
	k, ok := c[recorded.Type]
	if !ok {
		return nil, fmt.Errorf("%w: %q of %s version %d: add it to the codec", es.ErrUnknownType, recorded.Type, recorded.Stream, recorded.Version)
	}
	message, err := k.read(recorded)
	if err != nil {
		return nil, err
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("%w: %s of %s version %d: no JSON of it: %w", es.ErrUndecodable, recorded.Type, recorded.Stream, recorded.Version, err)
	}
	return text, nil
}
