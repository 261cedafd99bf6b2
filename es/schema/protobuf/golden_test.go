package protobuf_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/estest"
	"github.com/asof-dev/asof/es/schema/protobuf"
	"github.com/asof-dev/asof/es/schema/protobuf/internal/shoppb"
)

// recorder is a test whose failures are looked at.
type recorder struct {
	testing.TB
	failures []string
}

func (*recorder) Helper()                  {}
func (*recorder) Context() context.Context { return context.Background() }

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// golden checks that Golden has one failure with these words, or none.
func golden(t *testing.T, what, write string, codec es.Codec[es.Event], dir string, example es.Event, words ...string) {
	t.Helper()
	t.Setenv(estest.WriteEnv, write)
	r := &recorder{TB: t}
	estest.Golden(r, codec, dir, example)
	if len(r.failures) != min(1, len(words)) {
		t.Errorf("%s: %q", what, r.failures)
		return
	}
	for _, w := range words {
		if !strings.Contains(r.failures[0], w) {
			t.Errorf("%s: %q is not in %s", what, w, r.failures[0])
		}
	}
}

func TestGolden_of_Protobuf(t *testing.T) {
	dir := t.TempDir()
	placed := &shoppb.Placed{PaidBy: &shoppb.Placed_Card{Card: "c"}}
	codec := protobuf.New[es.Event](placed)
	golden(t, "no file yet", "", codec, dir, placed, "order.placed.v1.pb", "ASOF_GOLDEN=write")
	golden(t, "the first file", "write", codec, dir, placed)
	text, err := os.ReadFile(filepath.Join(dir, "order.placed.v1.pb.json"))
	for _, part := range []string{`"number": "1"`, `"customer": "text"`, `"sku": "text"`, `"card": "c"`, `"note": "text"`, `"at": "1970-`, `"state": "STATE_NEW"`} {
		if err != nil || !strings.Contains(string(text), part) {
			t.Errorf("%s is not in %s %v", part, text, err)
		}
	}
	source, err := os.ReadFile(filepath.Join(dir, "order.placed.v1.proto"))
	if err != nil || !strings.Contains(string(source), "message Placed {") {
		t.Error(string(source), err)
	}
	golden(t, "as it was", "", codec, dir, placed)
	for _, write := range []string{"", "write"} { // leave to write is none to lose
		golden(t, "fields less", write, protobuf.New[es.Event](&shoppb.PlacedLess{}), dir, &shoppb.PlacedLess{}, ".customer", "EventSchema", "upcaster")
		golden(t, "another type", write, protobuf.New[es.Event](&shoppb.PlacedRetyped{}), dir, &shoppb.PlacedRetyped{}, ".number", "EventSchema")
	}
	if placed.GetNumber() != 0 || placed.GetAt() != nil {
		t.Error("the example was changed")
	}

	less := &shoppb.PlacedLess{}
	dir = t.TempDir()
	golden(t, "fewer fields", "write", protobuf.New[es.Event](less), dir, less)
	golden(t, "fields more", "", codec, dir, placed, ".customer", "ASOF_GOLDEN=write")
	golden(t, "that are written", "write", codec, dir, placed)
	golden(t, "as they were", "", codec, dir, placed)
}

func TestGolden_of_Protobuf_by_upcasters(t *testing.T) {
	dir := t.TempDir()
	golden(t, "the first version", "write", protobuf.New[es.Event](&shoppb.Paid{}), dir, &shoppb.Paid{})
	next := &shoppb.Paid2{}
	golden(t, "no upcaster", "write", protobuf.New[es.Event](next), dir, next, "order.paid.v1.pb", "es.Upcast")
	golden(t, "what it makes is not known", "", paidCodec(), dir, next, "order.paid.v1@order.paid.v2.json")
	golden(t, "it is written", "write", paidCodec(), dir, next)
	golden(t, "as it was", "", paidCodec(), dir, next)
	if err := os.WriteFile(filepath.Join(dir, "order.paid.v1@order.paid.v2.json"), []byte(`{"amount": "2"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	golden(t, "another upcaster", "write", paidCodec(), dir, next, ".amount")
}
