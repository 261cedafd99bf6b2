// Package protobuf keeps events as Protobuf. They are generated messages themselves, which have
// their EventType in another file of their package:
//
//	func (*Placed) EventType() string { return "order.placed" }
//
//	codec := protobuf.New[Event](&Placed{}, &Paid{})
//
// The log keeps the .proto text of each beside the payloads. [Upcast] leads from one schema
// version, and its message, to the next.
//
// The package also tells whether one .proto text reads what another wrote, and if not, every
// reason why, in words for the one who changed it:
//
//	problems, err := protobuf.CanRead(next, former)
//	for _, p := range problems {
//		fmt.Println(p) // field total became string (it was int64): add a new field
//	}
//
// A text is proto2, proto3 or edition 2023, in one piece: it may import google/protobuf/*.proto
// alone. The payload is its first message, whose full name stays what it is, since consumers
// find it by that.
//
// The rules are those of the binary encoding, which is what is written; there fields are
// numbers:
//
//   - A field, a message within, a oneof or an enum's value may be renamed. (In JSON it may not.)
//     Where the name stays, the number does: a name with another number is a problem.
//   - A field's type may become one of the same wire type to which each value belongs: int32
//     becomes int64, bool becomes int32, string becomes bytes. int64 to int32 may cut, int32 to
//     uint32 change, bytes to string be no text: these are problems.
//   - A single field may become repeated. A repeated one that becomes single loses values. A map
//     reads as its entries; the other way, entries of one key become one.
//   - One field may move into a oneof where it is alone, or out of such a one. Others lose values,
//     or that only one of them is set.
//   - A closed enum (proto2) reads no value that it does not name, an open one any.
//   - A number that is given up, of a field or of an enum's value, is reserved with its name.
//     If not, it will be used for another thing. [CanRead] takes the reader's schema for the
//     newer of the two, [CanReadNewer] the writer's.
//   - A message that is gone is a problem, unless a field has its like by another name: it may
//     stand in an Any.
//
// Extensions, default values (which are the reader's) and names in JSON are left out of account.
package protobuf

import (
	"errors"

	"github.com/asof-dev/asof/es/schema"
)

// CanRead lists why a reader's schema cannot read all that was written by a writer's, of which
// the reader's is the newer, or the same: as in Kafka registries' BACKWARD. There are none when
// it can. What is wrong with a message that several fields have is told at the first of them.
// It fails when one of the texts is no schema, or when they are too large to compare.
func CanRead(reader, writer string) ([]schema.Problem, error) {
	return canRead(reader, writer, false)
}

// CanReadNewer is [CanRead] for a writer's schema that is the newer of the two, as in
// registries' FORWARD: what it has besides is new, and no number that the reader's gave up.
func CanReadNewer(reader, writer string) ([]schema.Problem, error) {
	return canRead(reader, writer, true)
}

func canRead(reader, writer string, newer bool) ([]schema.Problem, error) {
	r, err := compile("reader", reader)
	if err != nil {
		return nil, err
	}
	w, err := compile("writer", writer)
	if err != nil {
		return nil, err
	}
	c := newComparison(newer)
	c.files(r, w)
	if c.left < 0 {
		return nil, errors.New("protobuf: the schemas are too large to compare: split them")
	}
	return c.problems, nil
}
