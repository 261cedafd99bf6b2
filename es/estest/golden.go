package estest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/asof-dev/asof/es"
)

// WriteEnv is the variable of the environment that has [Golden] write files: set it to
// "write".
const WriteEnv = "ASOF_GOLDEN"

// Golden holds a codec to what it has written before. Give an example of every event type
// that the service writes; what is zero in it is filled in, so zero values do, but for types
// that refuse what they are filled in with: there the example counts as it is given. In dir,
// which is committed, stands a payload of each type and schema version:
//
//	order.paid.v1.json                a payload as it was written once
//	order.paid.v1@order.paid.v2.json  what it is now, by the upcasters; where it has become
//	                                  several events, the first is ….v1@1.order.paid.v2.json
//	order.paid.v2.json                a payload as it is written now
//
// Payloads of Avro and Protobuf stand in order.paid.v1.avro and .pb. Beside them stand what they
// were written by (order.paid.v1.avsc, .proto), and what they were as JSON (order.paid.v1.avro.json),
// which says what has changed. Of a oneof, give an example that has set it.
//
// The test fails when a payload does not decode any more, when a field of it disappears or
// changes, when upcasters make something else of it, and for a type without a file. With
// ASOF_GOLDEN=write in the environment it writes the files that are missing, and those that
// have got a field more. It overwrites none whose payload would lose something: raise the
// type's EventSchema then, and add an upcaster. Of a codec that writes a former version
// ([es.WriteAs]), give the one beneath.
func Golden[E es.Event](t testing.TB, codec es.Codec[E], dir string, examples ...es.Event) {
	t.Helper()
	g := golden[E]{ctx: t.Context(), codec: codec, dir: dir, write: os.Getenv(WriteEnv) == "write", current: map[string]bool{}}
	types := map[string]bool{}
	for _, example := range examples {
		types[example.EventType()] = true
		if err := g.example(example); err != nil {
			t.Errorf("%s: %v", example.EventType(), err)
		}
	}
	names, of, err := g.files()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		base := strings.TrimSuffix(filepath.Base(name), of[i].ext)
		eventType, schema, err := parse(base)
		if err == nil {
			types[eventType] = true
			err = g.former(base, of[i], eventType, schema)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range codec.Types() {
		if !types[name] {
			t.Errorf("%s: there is no payload of it in %s: give an example, or, of a type that is only read, a file %s.json", name, dir, base(name, 1))
		}
	}
}

// as is in the name of what a former payload has become, and in no type's.
const as = "@"

type golden[E es.Event] struct {
	ctx     context.Context //nolint:containedctx // it is the test
	codec   es.Codec[E]
	dir     string
	write   bool
	current map[string]bool // files of what is written now
}

// example holds what is written now against its file.
func (g *golden[E]) example(given es.Event) error {
	example, ok := given.(E)
	if !ok {
		return fmt.Errorf("%w: %T is no event of the codec's", es.ErrUnknownType, given)
	}
	data, err := g.encode(example)
	if err != nil {
		return err
	}
	name := base(data.Type, data.Schema)
	g.current[name] = true
	is, err := g.payload(data)
	if err != nil {
		return err
	}
	path := g.file(name, is.format)
	was, err := g.read(name, is.format)
	if os.IsNotExist(err) {
		if other, found := g.other(name, is.format); found {
			return fmt.Errorf("events like that in %s are stored, and it is written as %s now: raise EventSchema and add an upcaster", other, is.contentType)
		}
		return g.keep(name, is, fmt.Errorf("there is no %s", path))
	}
	if err != nil {
		return err
	}
	back, err := g.decode(data.Type, data.Schema, was)
	if err != nil {
		return fmt.Errorf("%w: events like that in %s are stored: raise EventSchema and add an upcaster", err, path)
	}
	again, err := g.reencoded(back)
	if err != nil {
		return err
	}
	if lost := differences(was.shown, again.shown, true); len(lost) > 0 {
		return fmt.Errorf("%s of %s is not what it was: events with it are stored: raise EventSchema and add an upcaster, or take the change back", strings.Join(lost, ", "), path)
	}
	if more := differences(is.shown, was.shown, false); len(more) > 0 {
		return g.keep(name, is, fmt.Errorf("%s is not in %s", strings.Join(more, ", "), path))
	}
	return nil
}

// reencoded is what was decoded, as it would be written now.
func (g *golden[E]) reencoded(back []E) (payload, error) {
	data, err := g.encoded(back[0])
	if err != nil {
		return payload{}, err
	}
	return g.payload(data)
}

// encode encodes an example that is filled in, or as it is where that cannot be read.
func (g *golden[E]) encode(example E) (es.EventData, error) {
	data, err := g.encoded(filled(example))
	if err == nil {
		var is payload
		if is, err = g.payload(data); err == nil {
			_, err = g.decode(data.Type, data.Schema, is)
		}
	}
	if err != nil {
		return g.encoded(example)
	}
	return data, nil
}

// former holds what a former payload is now against its file.
func (g *golden[E]) former(name string, f format, eventType string, schema int) error {
	if g.current[name] {
		return nil
	}
	was, err := g.read(name, f)
	if err != nil {
		return err
	}
	events, err := g.decode(eventType, schema, was)
	if err != nil {
		return err
	}
	var become []string
	for n, event := range events {
		is, err := g.encoded(event)
		if err != nil {
			return err
		}
		now := name + as + base(is.Type, is.Schema)
		if len(events) > 1 {
			now = fmt.Sprintf("%s%s%d.%s", name, as, n+1, base(is.Type, is.Schema))
		}
		become = append(become, now)
		shown, err := g.payload(is)
		if err != nil {
			return err
		}
		if err := g.becomes(now, shown.shown); err != nil {
			return err
		}
	}
	return g.nothingElse(name, become)
}

// becomes holds an event that a former payload is now against its file.
func (g *golden[E]) becomes(name string, is []byte) error {
	want, err := os.ReadFile(g.path(name))
	if os.IsNotExist(err) {
		return g.keepJSON(g.path(name), is, fmt.Errorf("there is no %s", g.path(name)))
	}
	if err != nil {
		return err
	}
	if lost := differences(want, is, true); len(lost) > 0 {
		return fmt.Errorf("upcast, %s is not what it was in %s: correct the upcasters, or remove that file if it was never right", strings.Join(lost, ", "), g.path(name))
	}
	if more := differences(is, want, true); len(more) > 0 {
		return g.keepJSON(g.path(name), is, fmt.Errorf("upcast, %s is not in %s", strings.Join(more, ", "), g.path(name)))
	}
	return nil
}

// nothingElse finds files of what a former payload was once by the upcasters and is not now: it
// has become another type, other parts or nothing. One of a version that is former itself
// by now stays.
func (g *golden[E]) nothingElse(name string, become []string) error {
	names, err := filepath.Glob(g.path(name + as + "*"))
	if err != nil {
		return err
	}
	for _, path := range names {
		file := strings.TrimSuffix(filepath.Base(path), ".json")
		was := strings.TrimPrefix(file, name+as)
		if part, rest, found := strings.Cut(was, "."); found && number(part) {
			was = rest
		}
		if slices.Contains(become, file) || !g.current[was] {
			continue
		}
		return fmt.Errorf("upcast, it is not what it was in %s: correct the upcasters, or remove that file if it is meant to be something else now", path)
	}
	return nil
}

// path is the file of JSON of a name.
func (g *golden[E]) path(name string) string { return filepath.Join(g.dir, name+".json") }

// base is the name of a file without its extension. Characters of types that a file's name
// may not have are written as in a URL.
func base(eventType string, schema int) string {
	return strings.NewReplacer("/", "%2F", ":", "%3A").Replace(eventType) + ".v" + strconv.Itoa(schema)
}

func number(text string) bool {
	_, err := strconv.Atoi(text)
	return err == nil
}

func parse(base string) (eventType string, schema int, err error) {
	at := strings.LastIndex(base, ".v")
	if at > 0 {
		schema, err = strconv.Atoi(base[at+2:])
	}
	if at <= 0 || err != nil || schema < 1 {
		return "", 0, fmt.Errorf("is no file of a payload: name it TYPE.vSCHEMA.json")
	}
	return strings.NewReplacer("%2F", "/", "%3A", ":").Replace(base[:at]), schema, nil
}

func (g *golden[E]) encoded(event E) (es.EventData, error) {
	return g.codec.Encode(g.ctx, file(), event)
}

func (g *golden[E]) decode(eventType string, schema int, p payload) ([]E, error) {
	return g.codec.Decode(p.within(g.ctx), nil, recorded(eventType, schema, p))
}

func file() es.StreamID { return es.StreamID{Category: "golden", ID: "file"} }

func recorded(eventType string, schema int, p payload) es.RecordedEvent {
	return es.RecordedEvent{
		Recorded:    es.Recorded{ID: es.NewID(), Type: eventType, Schema: schema, Stream: file(), Version: 1, Position: 1},
		ContentType: p.contentType, Data: p.data,
	}
}

// differences names what of one JSON text is missing in another, by its path, or is not the same
// there: not the same value, or else no value of the kind. What the other has besides does not
// matter.
func differences(of, in []byte, values bool) []string {
	var a, b any
	if decode(of, &a) != nil || decode(in, &b) != nil {
		if bytes.Equal(of, in) {
			return nil
		}
		return []string{"the payload"}
	}
	return compare("", a, b, values)
}

func decode(data []byte, into *any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(into)
}

func compare(path string, a, b any, values bool) (list []string) {
	here := []string{path}
	if path == "" {
		here = []string{"the payload"}
	}
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			return here
		}
		for key, value := range x {
			if other, there := y[key]; there {
				list = append(list, compare(path+"."+key, value, other, values)...)
			} else {
				list = append(list, path+"."+key)
			}
		}
		slices.Sort(list)
		return list
	case []any:
		y, ok := b.([]any)
		if !ok || values && len(x) != len(y) {
			return here
		}
		for i := range min(len(x), len(y)) {
			list = append(list, compare(fmt.Sprintf("%s[%d]", path, i), x[i], y[i], values)...)
		}
		return list
	}
	if values && a != b || reflect.TypeOf(a) != reflect.TypeOf(b) {
		return here
	}
	return nil
}
