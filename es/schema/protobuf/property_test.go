package protobuf_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es/schema/protobuf"
)

// drawnMessage is a message that is drawn, Order or one of those within it.
type drawnMessage struct {
	name   string
	fields []drawnField
	gone   []drawnField // and reserved
}

type drawnField struct {
	name, label, kind string // the label is that of proto3, map or one
	number            int
}

func drawnOrder(r *rapid.T) []drawnMessage {
	var list []drawnMessage
	for _, name := range []string{"Order", "Line", "Price"} {
		m := drawnMessage{name: name}
		for n := range rapid.IntRange(1, 5).Draw(r, "fields") {
			m.fields = append(m.fields, field(r, n+1))
		}
		list = append(list, m)
	}
	return list
}

func field(r *rapid.T, number int) drawnField {
	kinds := strings.Fields("bool int32 int64 uint32 sint32 sint64 fixed32 sfixed32 double string bytes S Line Price Order")
	return drawnField{
		name: fmt.Sprintf("f%d", number), number: number,
		label: rapid.SampledFrom([]string{"", "optional", "repeated", "map", "one", "two"}).Draw(r, "label"),
		kind:  rapid.SampledFrom(kinds).Draw(r, "kind"),
	}
}

func changed(r *rapid.T, messages []drawnMessage) (list []drawnMessage) {
	for _, m := range messages {
		m.fields = slices.Clone(m.fields)
		for range rapid.IntRange(0, 2).Draw(r, "changes") {
			m.change(r)
		}
		list = append(list, m)
	}
	return list
}

func (m *drawnMessage) change(r *rapid.T) {
	i := rapid.IntRange(0, len(m.fields)-1).Draw(r, "which")
	f := &m.fields[i]
	other := field(r, 20+i)
	switch rapid.IntRange(0, 7).Draw(r, "change") {
	case 0:
		f.kind = other.kind
	case 1:
		f.label = other.label
	case 2:
		f.name = "renamed" + f.name
	case 3:
		if len(m.fields) > 1 {
			m.gone = append(m.gone, *f)
			m.fields = slices.Delete(m.fields, i, i+1)
		}
	case 4:
		wider := map[string]string{"bool": "int32", "int32": "int64", "uint32": "int64", "sint32": "sint64", "string": "bytes", "S": "int32"}
		if to, found := wider[f.kind]; found {
			f.kind = to
		}
	case 5:
		if f.label == "" || f.label == "optional" {
			f.label = "repeated"
		}
	case 6:
		if f.label == "" && !slices.ContainsFunc(m.fields, func(f drawnField) bool { return f.label == "one" }) {
			f.label = "one"
		}
	default:
		if !slices.ContainsFunc(m.fields, func(f drawnField) bool { return f.number == other.number }) {
			m.fields = append(m.fields, other)
		}
	}
}

func (m drawnMessage) text() string {
	parts := map[string]string{}
	for _, f := range m.fields {
		declared := fmt.Sprintf(" %s %s = %d;", f.kind, f.name, f.number)
		switch f.label {
		case "map":
			parts[""] += fmt.Sprintf(" map<string, %s> %s = %d;", f.kind, f.name, f.number)
		case "one", "two":
			parts[f.label] += declared
		default:
			parts[""] += f.label + declared
		}
	}
	for _, f := range m.gone {
		if !slices.ContainsFunc(m.fields, func(is drawnField) bool { return is.number == f.number || is.name == f.name }) {
			parts[""] += fmt.Sprintf(" reserved %d; reserved %q;", f.number, f.name)
		}
	}
	text := "message " + m.name + " {" + parts[""]
	for _, one := range []string{"one", "two"} {
		if parts[one] != "" {
			text += " oneof " + one + " {" + parts[one] + " }"
		}
	}
	return text + " }\n"
}

func drawnText(messages []drawnMessage) string {
	text := proto3
	for _, m := range messages {
		text += m.text()
	}
	return text + "enum S { A = 0; B = 1; }"
}

// fill sets some of a message's fields.
func fill(r *rapid.T, m protoreflect.Message, deeper int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Message() != nil && !f.IsMap() && deeper == 0 || !rapid.Bool().Draw(r, "set") {
			continue
		}
		switch {
		case f.IsMap():
			for _, key := range rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b"}), 0, 2).Draw(r, "keys") {
				value := m.NewField(f).Map().NewValue()
				m.Mutable(f).Map().Set(protoreflect.ValueOfString(key).MapKey(), filled(r, f.MapValue(), value, deeper))
			}
		case f.IsList():
			for range rapid.IntRange(0, 3).Draw(r, "items") {
				list := m.Mutable(f).List()
				list.Append(filled(r, f, list.NewElement(), deeper))
			}
		default:
			m.Set(f, filled(r, f, m.NewField(f), deeper))
		}
	}
}

func filled(r *rapid.T, f protoreflect.FieldDescriptor, empty protoreflect.Value, deeper int) protoreflect.Value {
	if f.Message() != nil {
		fill(r, empty.Message(), max(deeper-1, 0))
		return empty
	}
	kind := f.Kind().String()
	if f.Enum() != nil {
		kind = "S"
	}
	return rapid.SampledFrom(append(samples(kind), empty)).Draw(r, "value")
}

// What CanRead lets pass, a reader reads: the fields that both have are the same.
func TestCanRead_what_passes_is_read(t *testing.T) {
	t.Parallel()
	passed := 0
	rapid.Check(t, func(r *rapid.T) {
		former := drawnOrder(r)
		writer, reader := drawnText(former), drawnText(changed(r, former))
		canRead := protobuf.CanRead
		if rapid.Bool().Draw(r, "the other way") {
			writer, reader, canRead = reader, writer, protobuf.CanReadNewer
		}
		problems, err := canRead(reader, writer)
		if err != nil {
			r.Fatalf("%v\n%s\n%s", err, reader, writer)
		}
		if len(problems) > 0 {
			return
		}
		passed++
		for range 3 {
			m := message(r, writer)
			fill(r, m, 2)
			got, err := read(r, reader, m)
			if err != nil || !same(got, m) {
				r.Fatalf("no problem, but %v: %v is read as %v\n%s\n%s", err, m, got, reader, writer)
			}
		}
	})
	if passed == 0 {
		t.Error("no pair passed: the test shows nothing")
	}
}

func TestCanRead_each_reads_itself(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		text := drawnText(drawnOrder(r))
		if problems, err := protobuf.CanRead(text, text); err != nil || len(problems) > 0 {
			r.Fatal(problems, err, text)
		}
	})
}
