package protobuf

import "google.golang.org/protobuf/reflect/protoreflect"

// fit is how a reader's type takes what a writer's wrote, as the end of a sentence.
type fit string

const (
	fine   fit = ""
	cut    fit = ": values may be cut"
	signed fit = ": values may change their sign or size"
	noText fit = ": bytes may be no text"
	closed fit = ": numbers that it does not name are not read"
	bits   fit = ": it reads another encoding"
	other  fit = ": it means something else"
)

// number is the shape of a kind of numbers: of the same wire are those that a reader takes for
// each other.
type number struct {
	wire   string
	signed bool
	bits   int
}

func numberOf(kind protoreflect.Kind) number {
	switch kind {
	case protoreflect.BoolKind:
		return number{"varint", false, 1}
	case protoreflect.Int32Kind, protoreflect.EnumKind:
		return number{"varint", true, 32}
	case protoreflect.Int64Kind:
		return number{"varint", true, 64}
	case protoreflect.Uint32Kind:
		return number{"varint", false, 32}
	case protoreflect.Uint64Kind:
		return number{"varint", false, 64}
	case protoreflect.Sint32Kind:
		return number{"zigzag", true, 32}
	case protoreflect.Sint64Kind:
		return number{"zigzag", true, 64}
	case protoreflect.Fixed32Kind:
		return number{"fixed32", false, 32}
	case protoreflect.Sfixed32Kind:
		return number{"fixed32", true, 32}
	case protoreflect.Fixed64Kind:
		return number{"fixed64", false, 64}
	case protoreflect.Sfixed64Kind:
		return number{"fixed64", true, 64}
	default:
		return number{}
	}
}

// takes is how one kind of numbers takes another's.
func (r number) takes(w number) fit {
	switch {
	case r.wire == "" || r.wire != w.wire:
		return bits
	case r.signed == w.signed && r.bits >= w.bits, r.signed && r.bits > w.bits:
		return fine
	case r.bits < w.bits:
		return cut
	}
	return signed
}

// fits is how a field of one type takes what one of another wrote: for a message or an enum,
// but for what is in it.
func fits(r, w protoreflect.FieldDescriptor) fit {
	switch {
	case r.Kind() == w.Kind():
		if r.Message() != nil && (isKnown(r.Message()) || isKnown(w.Message())) && r.Message().FullName() != w.Message().FullName() {
			return other
		}
		return fine
	case r.Kind() == protoreflect.BytesKind && w.Kind() == protoreflect.StringKind:
		return fine
	case r.Kind() == protoreflect.StringKind && w.Kind() == protoreflect.BytesKind:
		return noText
	}
	fit := numberOf(r.Kind()).takes(numberOf(w.Kind()))
	if fit == fine && r.Enum() != nil && r.Enum().IsClosed() {
		return closed
	}
	return fit
}
