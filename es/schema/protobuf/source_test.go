package protobuf_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/asof-dev/asof/es/schema/protobuf"
	"github.com/asof-dev/asof/es/schema/protobuf/internal/shoppb"
)

// compiled are the files of texts.
func compiled(t fataler, texts map[string]string, path string) protoreflect.FileDescriptor {
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(texts)})}
	files, err := compiler.Compile(context.Background(), path)
	if err != nil {
		t.Fatalf("%v\n%s", err, texts[path])
	}
	return files[0]
}

// comesBack checks that a text is printed, and compiles to what it was printed from.
func comesBack(t *testing.T, name string, of protoreflect.MessageDescriptor) {
	t.Helper()
	text, err := protobuf.Source(of)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	back := compiled(t, map[string]string{"a.proto": text}, "a.proto")
	if got := back.Messages().Get(0).FullName(); got != of.FullName() {
		t.Errorf("%s: the first message is %s", name, got)
	}
	if diff := cmp.Diff(featuresOf(of.ParentFile()), featuresOf(back), protocmp.Transform()); diff != "" {
		t.Errorf("%s: %s\n%s", name, diff, text)
	}
	for i := range back.Messages().Len() {
		m := back.Messages().Get(i)
		was := of.ParentFile().Messages().ByName(m.Name())
		if diff := cmp.Diff(protodesc.ToDescriptorProto(was), protodesc.ToDescriptorProto(m), protocmp.Transform(), unordered()); diff != "" {
			t.Errorf("%s: %s\n%s", name, diff, text)
		}
	}
	for i := range back.Enums().Len() {
		e := back.Enums().Get(i)
		was := of.ParentFile().Enums().ByName(e.Name())
		if diff := cmp.Diff(protodesc.ToEnumDescriptorProto(was), protodesc.ToEnumDescriptorProto(e), protocmp.Transform(), unordered()); diff != "" {
			t.Errorf("%s: %s\n%s", name, diff, text)
		}
	}
	if problems, err := protobuf.CanRead(text, text); err != nil || len(problems) > 0 {
		t.Errorf("%s: %v %v", name, problems, err)
	}
	for range 20 {
		again, err := protobuf.Source(back.Messages().Get(0))
		if err == nil && again == text {
			continue
		}
		t.Errorf("%s: printed again it is another: %v\n%s\n%s", name, err, text, again)
	}
}

// featuresOf are those that a file's types have by default.
func featuresOf(file protoreflect.FileDescriptor) *descriptorpb.FeatureSet {
	return protodesc.ToFileDescriptorProto(file).GetOptions().GetFeatures()
}

func unordered() cmp.Option {
	return protocmp.SortRepeated(func(a, b *descriptorpb.DescriptorProto) bool { return a.GetName() < b.GetName() })
}

const texts2 = `syntax = "proto2"; package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/any.proto";
message Order {
  required int64 id = 1;
  optional string text = 2 [default = "a\"b\\c\n\t\001é日"];
  optional bytes raw = 3 [default = "\000\377\"x"];
  optional double inf = 4 [default = -inf];
  optional double nan = 5 [default = nan];
  optional Status status = 6 [default = B];
  repeated int32 packed = 7 [packed = true];
  optional group Part = 8 { optional int32 x = 1; optional Order.Within within = 2; }
  map<int32, Within> within = 9;
  oneof one { string a = 10; group Other = 11 { optional int32 y = 1; } }
  optional google.protobuf.Any any = 12;
  optional google.protobuf.Timestamp at = 16;
  optional string named = 13 [json_name = "an@other"];
  optional float small = 14 [default = 1.5e-10];
  optional bool yes = 15 [default = true];
  extensions 100 to 199, 300 to max;
  reserved 50, 60 to 70;
  reserved "gone", "lost";
  message Within { enum Deep { X = 0; } optional Deep deep = 1; optional Order back = 2; }
}
enum Status { option allow_alias = true; A = 0; B = -1; C = -1; reserved 5, 10 to max; reserved "D"; }
message Unused { optional Status s = 1; }`

const textsEdition = `edition = "2023"; package shop;
option features.field_presence = IMPLICIT;
message Order {
  int64 id = 1 [features.field_presence = LEGACY_REQUIRED];
  string note = 2 [features.field_presence = EXPLICIT, features.utf8_validation = NONE];
  repeated int32 list = 3 [features.repeated_field_encoding = EXPANDED];
  Order child = 4 [features.message_encoding = DELIMITED];
  Closed closed = 5 [features.field_presence = EXPLICIT];
  map<string, bytes> many = 6;
  oneof one { string a = 7; bytes b = 8; }
  reserved 20 to 30;
  reserved gone;
}
enum Closed { option features.enum_type = CLOSED; ONE = 1; TWO = 2; reserved lost; }`

const texts3 = `syntax = "proto3"; package shop.v1;
import "google/protobuf/timestamp.proto";
message Order {
  Order.Line first = 1;
  optional string note = 2;
  optional Status status = 3;
  repeated sint64 list = 4 [packed = false];
  map<string, google.protobuf.Timestamp> times = 5;
  oneof one { sfixed32 a = 6; fixed64 b = 7; Status c = 8; }
  string snake_case_2name = 9;
  string Upper = 10;
  message Line { Status status = 1; Order order = 2; message Line { bool b = 1; } Line line = 3; }
}
enum Status { ZERO = 0; ONE = 1; }`

func TestSource_compiles_to_what_it_is_of(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"proto2": texts2, "edition": textsEdition, "proto3": texts3, "no package": `syntax = "proto3"; message Order { Other o = 1; } message Other {}`,
		"no syntax": `message Order { optional int32 id = 1; }`,
	} {
		comesBack(t, name, compiled(t, map[string]string{"x.proto": text}, "x.proto").Messages().ByName("Order"))
	}
	comesBack(t, "generated", (&shoppb.Placed{}).ProtoReflect().Descriptor())
	text, _ := protobuf.Source(compiled(t, map[string]string{"x.proto": texts2}, "x.proto").Messages().ByName("Order"))
	if strings.Contains(text, "Unused") {
		t.Error("it has what nothing needs")
	}
}

// What is printed of two schemas compares as they do.
func TestSource_compares_as_the_texts_do(t *testing.T) {
	t.Parallel()
	for _, of := range [][2]string{
		{order(`int64 id = 1;`), order(`string id = 1;`)},
		{order(`int64 id = 1;`), order(`int64 id = 1; string note = 2;`)},
		{status2(`A = 0;`), status2(`A = 0; B = 1;`)},
		{order(`repeated int32 list = 1;`), order(`int32 list = 1;`)},
	} {
		var printed [2]string
		for i, text := range of {
			source, err := protobuf.Source(compiled(t, map[string]string{"x.proto": text}, "x.proto").Messages().Get(0))
			if err != nil {
				t.Fatal(err)
			}
			printed[i] = source
		}
		for _, at := range [][2]int{{0, 1}, {1, 0}} {
			want, err := protobuf.CanRead(of[at[0]], of[at[1]])
			if err != nil {
				t.Fatal(err)
			}
			got, err := protobuf.CanRead(printed[at[0]], printed[at[1]])
			if err != nil || !cmp.Equal(got, want) {
				t.Errorf("%v, want %v (%v)", got, want, err)
			}
		}
	}
}

func TestSource_says_what_one_text_cannot_have(t *testing.T) {
	t.Parallel()
	common := `syntax = "proto3"; package common; message Money { int64 cents = 1; }`
	same := `syntax = "proto3"; package shop; message Money { int64 cents = 1; }`
	two := `syntax = "proto2"; package shop; message Money { optional int64 cents = 1; }`
	for words, of := range map[string]string{"common.Money, which is of another package": common, "": same, "another syntax": two} {
		name := "Money"
		if of == common {
			name = "common.Money"
		}
		file := compiled(t, map[string]string{"m.proto": of, "o.proto": `syntax = "proto3"; package shop; import "m.proto"; message Order { ` + name + ` total = 1; }`}, "o.proto")
		_, err := protobuf.Source(file.Messages().Get(0))
		if (err == nil) != (words == "") || !strings.Contains(fmt.Sprint(err), words) {
			t.Errorf("%q: %v", words, err)
		}
	}
	if _, err := protobuf.Source((&shoppb.Outer_Inner{}).ProtoReflect().Descriptor()); err == nil || !strings.Contains(err.Error(), "stands within another") {
		t.Error(err)
	}
}
