package registry_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/avro"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/registry"
)

// ids is a registry that asks nobody, and counts.
type ids struct {
	known map[es.Contract]int
	byID  map[int]es.Contract
	err   error
	asked int
}

func (i *ids) ID(c es.Contract) (int, bool) {
	id, ok := i.known[c]
	return id, ok
}

func (i *ids) ByID(_ context.Context, id int) (es.Contract, error) {
	i.asked++
	if c, ok := i.byID[id]; ok && i.err == nil {
		return c, nil
	}
	if i.err != nil {
		return es.Contract{}, i.err
	}
	return es.Contract{}, es.ErrUnknownContract
}

// fingerprintOf is that of the Avro schema as single objects have it, by the library.
func fingerprintOf(t testing.TB, text string) string {
	t.Helper()
	return hexOf(avro.MustParse(text).Fingerprint(avro.NewRabin()))
}

func newIDs(t testing.TB, id int, kind, text string) *ids {
	c := contract(kind, text)
	read := c
	if kind == "AVRO" {
		read.Fingerprint = fingerprintOf(t, text)
	}
	return &ids{known: map[es.Contract]int{c: id}, byID: map[int]es.Contract{id: read}}
}

func TestFrame(t *testing.T) {
	t.Parallel()
	for _, l := range languages() {
		t.Run(l.kind, func(t *testing.T) {
			t.Parallel()
			known := newIDs(t, 0x01020304, l.kind, l.text)
			inner := newCodec(l.kind, l.text)
			codec, event := registry.Framed[placed](inner, known), placed{"o-1", 5}
			bare, err := inner.Encode(t.Context(), es.StreamID{}, event)
			if err != nil {
				t.Fatal(err)
			}
			data, err := codec.Encode(t.Context(), es.StreamID{}, event)
			if err != nil {
				t.Fatal(err)
			}
			want := append([]byte{0, 1, 2, 3, 4}, map[string][]byte{"AVRO": bare.Data[min(10, len(bare.Data)):], "PROTOBUF": append([]byte{0}, bare.Data...), "JSON": bare.Data}[l.kind]...)
			if !bytes.Equal(data.Data, want) || data.ContentType != "application/vnd.confluent."+strings.ToLower(l.kind) || *data.Contract != contract(l.kind, l.text) {
				t.Errorf("%x %q, want %x", data.Data, data.ContentType, want)
			}
			if known.asked != 0 {
				t.Error("encoding asks")
			}
			for _, content := range []string{data.ContentType, "", "application/octet-stream"} { // others send none
				r := recorded(data)
				r.ContentType = content
				if got, err := es.One(codec.Decode(t.Context(), nil, r)); err != nil || got != event {
					t.Error(content, got, err)
				}
				if text, err := es.Describe(t.Context(), codec, r); err != nil || string(text) != `{"id":"o-1","total":5}` {
					t.Error(content, string(text), err)
				}
			}
			if known.asked != 1 {
				t.Errorf("decoding asks %d times", known.asked)
			}
			ctx := es.WithContracts(t.Context(), contracts{contract(l.kind, l.text)})
			if got, err := es.One(codec.Decode(ctx, nil, recorded(bare))); err != nil || got != event || known.asked != 1 {
				t.Error("what is not framed:", got, err)
			}
			if cmp.Diff(codec.Types(), []string{orderPlaced}) != "" {
				t.Error(codec.Types())
			}
		})
	}
}

// contracts has one, by whatever fingerprint.
type contracts struct{ is es.Contract }

func (c contracts) Contract(context.Context, string, string) (es.Contract, error) { return c.is, nil }

// avroTurned has the fields in another order: what one has written the other reads wrongly, unless
// it knows by which it was.
const avroTurned = `{"type":"record","name":"OrderPlaced","namespace":"shop","fields":[{"name":"total","type":"long"},{"name":"id","type":"string"}]}`

func TestWriter_of_a_framed_payload_is_told_to_the_codec(t *testing.T) {
	t.Parallel()
	wide := newCodec("AVRO", avroText)
	reader := newCodec("AVRO", avroTurned)
	known := newIDs(t, 7, "AVRO", avroText)
	data, err := registry.Framed[placed](wide, known).Encode(t.Context(), es.StreamID{}, placed{"o-1", 5})
	if err != nil {
		t.Fatal(err)
	}
	// The context's own contracts are not those of this payload.
	ctx := es.WithContracts(t.Context(), contracts{contract("AVRO", avroBroken)})
	if got, err := es.One(registry.Framed[placed](reader, known).Decode(ctx, nil, recorded(data))); err != nil || got.Total != 5 {
		t.Error(got, err)
	}
	if want := fingerprintOf(t, avroText); len(*reader.asked) != 1 || (*reader.asked)[0] != want {
		t.Error(*reader.asked, want)
	}
}

// asks is a codec that looks another contract up, as an upcaster may.
type asks struct {
	es.Codec[placed]
	got *es.Contract
}

func (a asks) Decode(ctx context.Context, into []placed, r es.RecordedEvent) (_ []placed, err error) {
	*a.got, err = es.ContractOf(ctx, "AVRO", "another")
	return into, err
}

func TestOther_contracts_are_where_they_were(t *testing.T) {
	t.Parallel()
	known := newIDs(t, 7, "AVRO", avroText)
	inner := asks{newCodec("AVRO", avroText), &es.Contract{}}
	codec := registry.Framed[placed](inner, known)
	data, err := codec.Encode(t.Context(), es.StreamID{}, placed{"o-1", 5})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := codec.Decode(t.Context(), nil, recorded(data)); !errors.Is(err, es.ErrUnknownContract) {
		t.Error(*inner.got, err)
	}
	ctx := es.WithContracts(t.Context(), contracts{contract("AVRO", avroBroken)})
	if _, err := codec.Decode(ctx, nil, recorded(data)); err != nil || inner.got.Text != avroBroken {
		t.Error(*inner.got, err)
	}
}

func TestPayloads_that_cannot_be_framed(t *testing.T) {
	t.Parallel()
	known := newIDs(t, 7, "AVRO", avroText)
	for _, c := range []struct {
		name  string
		codec es.Codec[placed]
		is    error
		want  string
	}{
		{"no id", newCodec("AVRO", avroTurned), es.ErrUnknownContract, "Register or Load"},
		{"no contract", es.JSON[placed](placed{}), es.ErrInvalid, "has no contract"},
		{"not a single object", changed{newCodec("AVRO", avroText), func(d *es.EventData) { d.Data = d.Data[10:] }}, es.ErrInvalid, "single-object"},
		{"another content type", changed{newCodec("AVRO", avroText), func(d *es.EventData) { d.ContentType = "application/json" }}, es.ErrInvalid, "application/json"},
	} {
		_, err := registry.Framed(c.codec, known).Encode(t.Context(), es.StreamID{}, placed{"o-1", 5})
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), orderPlaced) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if known.asked != 0 {
		t.Error("encoding asks")
	}
}

// changed is a codec that writes something else.
type changed struct {
	es.Codec[placed]
	change func(*es.EventData)
}

func (c changed) Encode(ctx context.Context, s es.StreamID, e placed) (es.EventData, error) {
	d, err := c.Codec.Encode(ctx, s, e)
	c.change(&d)
	return d, err
}

func TestFramed_payloads_that_cannot_be_read(t *testing.T) {
	t.Parallel()
	const framed, proto = "application/vnd.confluent.avro", "application/vnd.confluent.protobuf"
	for _, c := range []struct {
		name, kind, text, content string
		data                      []byte
		err, is                   error
	}{
		{"empty", "AVRO", avroText, framed, nil, nil, es.ErrUndecodable},
		{"too short", "AVRO", avroText, framed, []byte{0, 0, 0, 7}, nil, es.ErrUndecodable},
		{"another magic", "AVRO", avroText, framed, []byte{1, 0, 0, 0, 7, 1}, nil, es.ErrUndecodable},
		{"an unknown id", "AVRO", avroText, framed, []byte{0, 0, 0, 0, 8, 1}, nil, es.ErrUnknownContract},
		{"no answer", "AVRO", avroText, framed, []byte{0, 0, 0, 0, 7, 1}, es.ErrUnavailable, es.ErrUnavailable},
		{"cut", "AVRO", avroText, framed, []byte{0, 0, 0, 0, 7}, nil, es.ErrUndecodable},
		{"no index", "PROTOBUF", protoText, proto, []byte{0, 0, 0, 0, 7}, nil, es.ErrUndecodable},
		{"the second message", "PROTOBUF", protoText, proto, []byte{0, 0, 0, 0, 7, 2, 2}, nil, es.ErrUndecodable},
		{"a message within", "PROTOBUF", protoText, proto, []byte{0, 0, 0, 0, 7, 4, 0, 0}, nil, es.ErrUndecodable},
		{"an index that is cut", "PROTOBUF", protoText, proto, []byte{0, 0, 0, 0, 7, 2}, nil, es.ErrUndecodable},
		{"a negative count", "PROTOBUF", protoText, proto, []byte{0, 0, 0, 0, 7, 1}, nil, es.ErrUndecodable},
	} {
		known := newIDs(t, 7, c.kind, c.text)
		known.err = c.err
		r := recorded(es.EventData{Type: orderPlaced, Schema: 1, ContentType: c.content, Data: c.data})
		_, err := registry.Framed[placed](newCodec(c.kind, c.text), known).Decode(t.Context(), nil, r)
		if !errors.Is(err, c.is) || errors.Is(err, es.ErrUndecodable) == (c.err != nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.err == nil && c.name != "cut" && !strings.Contains(err.Error(), "order.placed of order") {
			t.Errorf("%s: the event is not named: %v", c.name, err)
		}
	}
	long := newIDs(t, 7, "PROTOBUF", protoText)
	first := recorded(es.EventData{Type: orderPlaced, ContentType: proto, Data: []byte{0, 0, 0, 0, 7, 2, 0, 16, 10}})
	if got, err := es.One(registry.Framed[placed](newCodec("PROTOBUF", protoText), long).Decode(t.Context(), nil, first)); err != nil || got.Total != 10 {
		t.Error("the long form of the first message:", got, err)
	}
}

// What is wrong with the registry, or with how it is asked, is never held against a payload.
func TestFramed_payloads_wait_for_a_registry_that_does_not_answer_as_it_should(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status, code int
		body         string
		is           error
	}{
		{302, 0, "", es.ErrUnavailable},
		{400, 400, "", es.ErrUnavailable},
		{401, 401, "", es.ErrUnavailable},
		{403, 403, "", es.ErrUnavailable},
		{404, 404, "", es.ErrUnavailable},
		{404, 40403, "", es.ErrUndecodable},
		{500, 50001, "", es.ErrUnavailable},
		{200, 0, `{"schema": "nonsense"}`, es.ErrUndecodable},
		{200, 0, `<html>`, es.ErrUnavailable},
	} {
		s := newServer(t, plain, func(w http.ResponseWriter, _ *http.Request) {
			if c.body != "" {
				_, _ = io.WriteString(w, c.body)
				return
			}
			w.Header().Set("Location", "/elsewhere")
			problem(w, c.status, c.code, "because")
		})
		codec := registry.Framed[placed](newCodec("AVRO", avroText), newClient(t, registry.Config{URLs: []string{s.URL}}))
		r := recorded(es.EventData{Type: orderPlaced, Schema: 1, ContentType: "application/vnd.confluent.avro", Data: []byte{0, 0, 0, 0, 7, 1}})
		_, err := codec.Decode(t.Context(), nil, r)
		for _, is := range []error{es.ErrUnavailable, es.ErrUndecodable} {
			if errors.Is(err, is) != errors.Is(c.is, is) {
				t.Errorf("%d %d %s: %v is %v: %t", c.status, c.code, c.body, err, is, errors.Is(err, is))
			}
		}
	}
}

// Whatever is sent, decoding fails or not; what is written is read.
func TestAny_event_comes_through_its_frame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom(languages()).Draw(t, "language")
		id := rapid.IntRange(1, 1<<32-1).Draw(t, "id")
		event := placed{rapid.StringMatching(`[a-z]{0,9}`).Draw(t, "order"), rapid.Int64().Draw(t, "total")}
		c := contract(l.kind, l.text)
		read := c
		if l.kind == "AVRO" {
			read.Fingerprint = hexOf(avro.MustParse(l.text).Fingerprint(avro.NewRabin()))
		}
		known := &ids{known: map[es.Contract]int{c: id}, byID: map[int]es.Contract{id: read}}
		codec := registry.Framed[placed](newCodec(l.kind, l.text), known)
		data, err := codec.Encode(context.Background(), es.StreamID{}, event)
		if err != nil || binary.BigEndian.Uint32(data.Data[1:]) != uint32(id) {
			t.Fatal(data, err)
		}
		if got, err := es.One(codec.Decode(context.Background(), nil, recorded(data))); err != nil || got != event {
			t.Fatal(got, err)
		}
		hostile := recorded(data)
		hostile.Data = rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes")
		_, _ = codec.Decode(context.Background(), nil, hostile)
	})
}
