package protobuf

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/asof-dev/asof/es/schema"
)

// oneofs finds the fields that moved into a oneof with others, or out of one. Its name does
// not matter, but which fields it has that were there before.
func (c *comparison) oneofs(at *schema.Place, r, w protoreflect.MessageDescriptor) {
	into, out := shared(r, w), shared(w, r)
	for i := range w.Fields().Len() {
		wf := w.Fields().Get(i)
		rf := r.Fields().ByNumber(wf.Number())
		if rf == nil {
			continue
		}
		is, was := oneof(rf), oneof(wf)
		of := at.Below(string(rf.Name()))
		switch {
		case is != nil && len(into[is.Name()]) > 1 && (was == nil || was != former(into[is.Name()], w)):
			c.problem(of, "add a new field", "moved into the oneof %s with others: of what was set only one is read", is.Name())
		case is == nil && was != nil && len(out[was.Name()]) > 1:
			c.problem(of, "add a new field", "moved out of the oneof %s: it does not exclude the others any more", was.Name())
		}
	}
}

// shared are the numbers of the fields of each oneof that the other message has too.
func shared(m, other protoreflect.MessageDescriptor) map[protoreflect.Name][]protoreflect.FieldNumber {
	numbers := map[protoreflect.Name][]protoreflect.FieldNumber{}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if o := oneof(f); o != nil && other.Fields().ByNumber(f.Number()) != nil {
			numbers[o.Name()] = append(numbers[o.Name()], f.Number())
		}
	}
	return numbers
}

// former is the writer's oneof that one of the reader's was, by the numbers of its fields: to
// it the others have come.
func former(numbers []protoreflect.FieldNumber, w protoreflect.MessageDescriptor) protoreflect.OneofDescriptor {
	for _, n := range numbers {
		if o := oneof(w.Fields().ByNumber(n)); o != nil {
			return o
		}
	}
	return nil
}

// oneof is what a field is one of: nothing for an optional field of proto3.
func oneof(f protoreflect.FieldDescriptor) protoreflect.OneofDescriptor {
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return o
	}
	return nil
}
