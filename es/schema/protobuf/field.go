package protobuf

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/asof-dev/asof/es/schema"
)

// field finds what of the writer's field the reader's of the same number cannot read.
func (c *comparison) field(at *schema.Place, r, w protoreflect.FieldDescriptor) {
	of := at.Below(string(r.Name()))
	if r.Cardinality() == protoreflect.Required && w.Cardinality() != protoreflect.Required {
		c.problem(of, "leave it optional", "became required: what was written without it is not read")
	}
	switch {
	case r.IsMap() && w.IsMap():
		c.keys(of, r.MapKey(), w.MapKey())
		c.types(of.Below("{}"), r.MapValue(), w.MapValue())
	case r.IsMap():
		c.mapped(of, r, w)
	case r.IsList() && w.Cardinality() == protoreflect.Repeated: // a list of messages reads a map as its entries
		c.types(of.Below("[]"), r, w)
	case w.Cardinality() == protoreflect.Repeated && !r.IsList():
		c.single(of, r, w)
	default:
		c.types(of, r, w)
	}
}

// keys compares those of two maps.
func (c *comparison) keys(at *schema.Place, r, w protoreflect.FieldDescriptor) {
	if fit := fits(r, w); fit != fine {
		c.problem(at, "add a new field", "has keys of %s (they were of %s)%s", r.Kind(), w.Kind(), fit)
	}
}

// mapped tells what a map does not read of what is none.
func (c *comparison) mapped(at *schema.Place, r, w protoreflect.FieldDescriptor) {
	loss := ": of entries with the same key one is read"
	if w.Kind() != protoreflect.MessageKind {
		loss = string(bits)
	}
	c.problem(at, "add a new field", "became %s (it was %s)%s", whole(r), whole(w), loss)
}

// single tells what is lost of a repeated field by a reader that takes one value.
func (c *comparison) single(at *schema.Place, r, w protoreflect.FieldDescriptor) {
	loss := ": only the last of its values is read"
	switch fit := fits(r, w); {
	case fit == bits:
		loss = string(bits)
	case w.IsPacked():
		loss = ": packed values are not read"
	case fit != fine:
		loss = string(fit)
	case r.Message() != nil:
		loss = ": its values are read as one"
	}
	c.problem(at, "add a new field", "became %s (it was %s)%s", whole(r), whole(w), loss)
}

// types compares the types of two fields, or of what is in them.
func (c *comparison) types(at *schema.Place, r, w protoreflect.FieldDescriptor) {
	is, was := whole(r), whole(w)
	if r.IsList() && w.IsList() {
		is, was = element(r), element(w)
	}
	switch fit := fits(r, w); {
	case fit != fine && r.Name() != w.Name() && !r.ContainingMessage().IsMapEntry():
		c.problem(at, "give it a new number, and reserve the old one", "has the number %d, which %s had: became %s (it was %s)%s", r.Number(), w.Name(), is, was, fit)
	case fit != fine:
		c.problem(at, "add a new field", "became %s (it was %s)%s", is, was, fit)
	case r.Message() != nil:
		c.messages(at, r.Message(), w.Message())
	case r.Enum() != nil && w.Enum() != nil:
		c.enums(at, r.Enum(), w.Enum())
	}
}

// whole names a field's type as it is declared.
func whole(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap():
		return "map<" + element(f.MapKey()) + ", " + element(f.MapValue()) + ">"
	case f.IsList():
		return "repeated " + element(f)
	}
	return element(f)
}

// element names a type, of a list's elements where it is one.
func element(f protoreflect.FieldDescriptor) string {
	name := f.Kind().String()
	switch {
	case f.Enum() != nil:
		return "enum " + short(f.Enum())
	case f.Message() != nil:
		return name + " " + short(f.Message())
	}
	return name
}

func short(d protoreflect.Descriptor) string {
	if isKnown(d) {
		return string(d.FullName())
	}
	return within(d)
}

// isKnown is whether a type is one of those that come with Protobuf, which mean more than
// their fields.
func isKnown(d protoreflect.Descriptor) bool {
	return strings.HasPrefix(string(d.FullName()), "google.protobuf.")
}
