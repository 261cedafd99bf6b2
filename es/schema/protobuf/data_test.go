package protobuf_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/asof-dev/asof/es/schema/protobuf"
)

type fataler interface {
	Fatalf(format string, args ...any)
}

// message is an empty one of the first type of a schema.
func message(t fataler, text string) *dynamicpb.Message {
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"a.proto": text}),
	})}
	files, err := compiler.Compile(context.Background(), "a.proto")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return dynamicpb.NewMessage(files[0].Messages().Get(0))
}

// read is what a reader of another schema makes of a message.
func read(t fataler, reader string, written proto.Message) (*dynamicpb.Message, error) {
	data, err := proto.Marshal(written)
	if err != nil {
		t.Fatalf("%v", err)
	}
	m := message(t, reader)
	return m, proto.Unmarshal(data, m)
}

// same is whether a reader's message has what the writer's has, in the fields that both have.
func same(r, w protoreflect.Message) bool {
	fields := w.Descriptor().Fields()
	for i := range fields.Len() {
		wf := fields.Get(i)
		if rf := r.Descriptor().Fields().ByNumber(wf.Number()); rf != nil && !sameField(rf, wf, r, w) {
			return false
		}
	}
	return true
}

func sameField(rf, wf protoreflect.FieldDescriptor, r, w protoreflect.Message) bool {
	switch {
	case rf.IsMap() && wf.IsMap():
		return sameMaps(rf, wf, r.Get(rf).Map(), w.Get(wf).Map())
	case wf.IsMap():
		return r.Get(rf).List().Len() == w.Get(wf).Map().Len()
	case rf.IsMap():
		return false
	case wf.IsList() && rf.IsList():
		return sameLists(rf, wf, r.Get(rf).List(), w.Get(wf).List())
	case wf.IsList():
		return w.Get(wf).List().Len() == 0
	case rf.IsList():
		list := r.Get(rf).List()
		return list.Len() == 0 && !w.Has(wf) || list.Len() == 1 && sameValue(rf, wf, list.Get(0), w.Get(wf))
	case !w.Has(wf):
		return !r.Has(rf)
	}
	return sameValue(rf, wf, r.Get(rf), w.Get(wf))
}

func sameMaps(rf, wf protoreflect.FieldDescriptor, r, w protoreflect.Map) bool {
	values := map[string]protoreflect.Value{}
	r.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		values[scalar(rf.MapKey(), k.Value())] = v
		return true
	})
	equal := len(values) == w.Len()
	w.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		other, there := values[scalar(wf.MapKey(), k.Value())]
		equal = equal && there && sameValue(rf.MapValue(), wf.MapValue(), other, v)
		return true
	})
	return equal
}

func sameLists(rf, wf protoreflect.FieldDescriptor, r, w protoreflect.List) bool {
	for i := range min(r.Len(), w.Len()) {
		if !sameValue(rf, wf, r.Get(i), w.Get(i)) {
			return false
		}
	}
	return r.Len() == w.Len()
}

func sameValue(rf, wf protoreflect.FieldDescriptor, r, w protoreflect.Value) bool {
	if (rf.Message() == nil) != (wf.Message() == nil) {
		return false
	}
	if rf.Message() != nil {
		return same(r.Message(), w.Message())
	}
	return scalar(rf, r) == scalar(wf, w)
}

// scalar is a value in a form that is the same for all kinds that have it.
func scalar(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch f.Kind() {
	case protoreflect.BoolKind:
		if v.Bool() {
			return "1"
		}
		return "0"
	case protoreflect.EnumKind:
		return fmt.Sprint(int32(v.Enum()))
	case protoreflect.BytesKind:
		return "text " + string(v.Bytes())
	case protoreflect.StringKind:
		return "text " + v.String()
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return fmt.Sprint("float ", v.Interface())
	}
	return fmt.Sprint(v.Interface())
}

// samples are values of a kind that others cut, or take for others.
func samples(kind string) (list []protoreflect.Value) {
	switch kind {
	case "bool":
		list = append(list, protoreflect.ValueOfBool(true))
	case "int32", "sint32", "sfixed32":
		for _, n := range []int32{1, 5, -1, math.MaxInt32, math.MinInt32} {
			list = append(list, protoreflect.ValueOfInt32(n))
		}
	case "int64", "sint64", "sfixed64":
		for _, n := range []int64{1, 5, -1, math.MaxInt64, math.MinInt64} {
			list = append(list, protoreflect.ValueOfInt64(n))
		}
	case "uint32", "fixed32":
		for _, n := range []uint32{1, 5, math.MaxUint32} {
			list = append(list, protoreflect.ValueOfUint32(n))
		}
	case "uint64", "fixed64":
		for _, n := range []uint64{1, 5, math.MaxUint64} {
			list = append(list, protoreflect.ValueOfUint64(n))
		}
	case "float":
		list = append(list, protoreflect.ValueOfFloat32(1.5))
	case "double":
		list = append(list, protoreflect.ValueOfFloat64(1.5))
	case "string":
		list = append(list, protoreflect.ValueOfString("a\x01é"))
	case "bytes":
		list = append(list, protoreflect.ValueOfBytes([]byte{0xff, 0xfe}))
	case "S":
		for _, n := range []int32{1, 7, -1} {
			list = append(list, protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)))
		}
	}
	return list
}

// Each kind is read by each: CanRead passes it if, and only if, all values come through.
func TestCanRead_kinds_by_data(t *testing.T) {
	t.Parallel()
	kinds := strings.Fields("bool int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64 float double string bytes S")
	for _, label := range []string{"optional", "repeated"} {
		for _, writer := range kinds {
			for _, reader := range kinds {
				text := func(kind string) string {
					return order(label+` `+kind+` total = 1;`, ` enum S { A = 0; B = 1; }`)
				}
				through := true
				for _, v := range samples(writer) {
					m := message(t, text(writer))
					f := m.Descriptor().Fields().ByNumber(1)
					if label == "repeated" {
						m.Mutable(f).List().Append(v)
					} else {
						m.Set(f, v)
					}
					got, err := read(t, text(reader), m)
					through = through && err == nil && same(got, m)
				}
				problems, err := protobuf.CanRead(text(reader), text(writer))
				if err != nil {
					t.Fatal(err)
				}
				if through != (len(problems) == 0) {
					t.Errorf("%s %s to %s: data come through: %t, but %v", label, writer, reader, through, problems)
				}
			}
		}
	}
}

// What CanRead tells of, data show.
func TestCanRead_problems_by_data(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ reader, writer, data string }{
		"repeated to single":    {order(`string total = 1;`), order(`repeated string total = 1;`), `total: "a" total: "b"`},
		"packed to single":      {order(`int32 total = 1;`), order(`repeated int32 total = 1;`), `total: 1`},
		"messages to one":       {order(`Line total = 1;`, line), order(`repeated Line total = 1;`, line), `total { sku: "a" } total { price: 2 }`},
		"message to group":      {edited(`L total = 1 [features.message_encoding = DELIMITED]; message L { int32 a = 1; }`), edited(`L total = 1; message L { int32 a = 1; }`), `total { a: 1 }`},
		"a map's values":        {order(`map<string, int32> total = 1;`), order(`map<string, string> total = 1;`), `total { key: "a" value: "b" }`},
		"a map's keys":          {order(`map<string, int32> total = 1;`), order(`map<int32, int32> total = 1;`), `total { key: 1 value: 2 }`},
		"a map of a number":     {order(`map<string, int32> total = 1;`), order(`int32 total = 1;`), `total: 1`},
		"a field within":        {order(`Line l = 1; message Line { int32 price = 2; }`), order(`Line l = 1;`, line), `l { price: 5000000000 }`},
		"numbers":               {order(`string a = 2; string b = 1;`), order(`string a = 1; string b = 2;`), `a: "a"`},
		"a value's number":      {status3(`NEW = 0; PAID = 2; DONE = 1;`), status3(`NEW = 0; PAID = 1;`), `status: PAID`},
		"became required":       {order2(`required int32 total = 1;`), order2(`optional int32 total = 1;`), ``},
		"new and required":      {order2(`required int32 total = 1;`), order2(``), ``},
		"into a oneof":          {order(`oneof pay { string card = 1; string cash = 2; }`), order(`string card = 1; string cash = 2;`), `card: "a" cash: "b"`},
		"into one's company":    {order(`oneof pay { string card = 1; string cash = 2; }`), order(`oneof pay { string card = 1; } string cash = 2;`), `card: "a" cash: "b"`},
		"two oneofs":            {order(`oneof pay { string card = 1; string cash = 2; }`), order(`oneof a { string card = 1; } oneof b { string cash = 2; }`), `card: "a" cash: "b"`},
		"out of one, and unset": {order(`oneof pay { string card = 1; } string cash = 2;`), order(`oneof pay { string card = 1; string cash = 2; }`), `cash: ""`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if texts(t, protobuf.CanRead, tt.reader, tt.writer) == nil {
				t.Fatal("there is no problem")
			}
			m := message(t, tt.writer)
			if err := prototext.Unmarshal([]byte(tt.data), m); err != nil {
				t.Fatal(err)
			}
			got, err := read(t, tt.reader, m)
			if err == nil && same(got, m) && sameNames(got, m) && len(got.GetUnknown()) == 0 {
				t.Errorf("%v is read as %v", m, got)
			}
		})
	}
}

// sameNames is whether what is set has the same names.
func sameNames(r, w protoreflect.Message) bool {
	names := func(m protoreflect.Message) string {
		text := prototext.MarshalOptions{}.Format(m.Interface())
		return strings.Join(strings.Fields(text), " ")
	}
	return names(r) == names(w)
}
