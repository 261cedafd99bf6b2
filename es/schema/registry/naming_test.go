package registry_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/registry"
)

func TestSubjects_are_named_as_by_Confluent(t *testing.T) {
	t.Parallel()
	if got := registry.ByTopic("orders"); got != "orders-value" {
		t.Error(got)
	}
	for _, c := range []struct{ kind, text, want string }{
		{"AVRO", avroText, "shop.OrderPlaced"},
		{"AVRO", `{"type":"record","name":"shop.eu.OrderPlaced","namespace":"ignored","fields":[]}`, "shop.eu.OrderPlaced"},
		{"AVRO", `{"type":"record","name":"OrderPlaced","fields":[]}`, "OrderPlaced"},
		{"PROTOBUF", protoText, "shop.OrderPlaced"},
		{"PROTOBUF", "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; message A { google.protobuf.Timestamp at = 1; } message B {}", "A"},
		{"JSON", jsonText, "OrderPlaced"},
		{"JSON", `{}`, ""},
		{"JSON", `[]`, ""},
		{"AVRO", `{`, ""},
		{"PROTOBUF", `message {`, ""},
		{"PROTOBUF", `syntax = "proto3";`, ""},
		{"XML", `<a/>`, ""},
	} {
		got, err := registry.ByRecord(contract(c.kind, c.text))
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s %s: %q %v", c.kind, c.text, got, err)
		}
		if err != nil && (!errors.Is(err, es.ErrInvalid) || !strings.HasPrefix(err.Error(), "registry: ")) {
			t.Error(err)
		}
		both, err := registry.ByTopicAndRecord("orders", contract(c.kind, c.text))
		if c.want == "" != (err != nil) || err == nil && both != "orders-"+c.want {
			t.Error(both, err)
		}
	}
}
