package registry_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/twmb/avro"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/asof-dev/asof/es"
)

// The contracts of the tests: by language a first version, one that is compatible with it, and
// one that is not.
const (
	avroText     = `{"type":"record","name":"OrderPlaced","namespace":"shop","fields":[{"name":"id","type":"string"},{"name":"total","type":"long"}]}`
	avroNext     = `{"type":"record","name":"OrderPlaced","namespace":"shop","fields":[{"name":"id","type":"string"},{"name":"total","type":"long"},{"name":"currency","type":"string","default":"EUR"}]}`
	avroBroken   = `{"type":"record","name":"OrderPlaced","namespace":"shop","fields":[{"name":"id","type":"string"},{"name":"total","type":"string"}]}`
	protoText    = "syntax = \"proto3\";\npackage shop;\n\nmessage OrderPlaced {\n  string id = 1;\n  int64 total = 2;\n}\n"
	protoNext    = "syntax = \"proto3\";\npackage shop;\n\nmessage OrderPlaced {\n  string id = 1;\n  int64 total = 2;\n  string currency = 3;\n}\n"
	protoBroken  = "syntax = \"proto3\";\npackage shop;\n\nmessage OrderPlaced {\n  string id = 1;\n  string total = 2;\n}\n"
	jsonHead     = `{"$schema":"http://json-schema.org/draft-07/schema#","title":"OrderPlaced","type":"object","additionalProperties":false,"required":["id","total"],"properties":`
	jsonText     = jsonHead + `{"id":{"type":"string"},"total":{"type":"integer"}}}`
	jsonNext     = jsonHead + `{"id":{"type":"string"},"total":{"type":"integer"},"currency":{"type":"string"}}}`
	jsonBroken   = jsonHead + `{"id":{"type":"string"},"total":{"type":"string"}}}`
	secret       = "hunter2-0123456789"
	orderPlaced  = "order.placed"
	orderSubject = "orders-value"
)

// texts are those of a language.
type texts struct{ kind, text, next, broken string }

func languages() []texts {
	return []texts{
		{"AVRO", avroText, avroNext, avroBroken},
		{"PROTOBUF", protoText, protoNext, protoBroken},
		{"JSON", jsonText, jsonNext, jsonBroken},
	}
}

func contract(kind, text string) es.Contract {
	return es.Contract{Kind: kind, Fingerprint: fmt.Sprintf("of %d bytes", len(text)), Text: text}
}

type placed struct {
	ID    string `avro:"id"    json:"id"`
	Total int64  `avro:"total" json:"total"`
}

func (placed) EventType() string { return orderPlaced }

// codec is a small one of each language.
type codec struct {
	es.Contract
	asked *[]string // the fingerprints that it has looked up
}

func newCodec(kind, text string) codec { return codec{contract(kind, text), &[]string{}} }

func (codec) Types() []string { return []string{orderPlaced} }

func (c codec) Encode(_ context.Context, _ es.StreamID, e placed) (es.EventData, error) {
	data := es.EventData{ID: es.NewID(), Type: orderPlaced, Schema: 1, Contract: &c.Contract}
	var err error
	switch c.Kind {
	case "AVRO":
		data.ContentType = "application/avro"
		data.Data, err = avro.MustParse(c.Text).AppendSingleObject(nil, e)
	case "PROTOBUF":
		data.ContentType = "application/protobuf"
		data.Data = protowire.AppendString(protowire.AppendTag(data.Data, 1, protowire.BytesType), e.ID)
		data.Data = protowire.AppendVarint(protowire.AppendTag(data.Data, 2, protowire.VarintType), uint64(e.Total))
	default:
		data.Data, err = json.Marshal(e)
	}
	return data, err
}

func (c codec) Decode(ctx context.Context, into []placed, r es.RecordedEvent) ([]placed, error) {
	var e placed
	err := c.read(ctx, r, &e)
	if err != nil {
		return into, fmt.Errorf("%w: %w", es.ErrUndecodable, err)
	}
	return append(into, e), nil
}

func (c codec) read(ctx context.Context, r es.RecordedEvent, e *placed) error {
	switch r.ContentType {
	case "application/avro":
		return c.readAvro(ctx, r.Data, e)
	case "application/protobuf":
		for rest := r.Data; len(rest) > 0; {
			number, kind, n := protowire.ConsumeTag(rest)
			if n < 0 {
				return protowire.ParseError(n)
			}
			rest = rest[n:]
			n = protowire.ConsumeFieldValue(number, kind, rest)
			if n < 0 {
				return protowire.ParseError(n)
			}
			switch number {
			case 1:
				e.ID, _ = protowire.ConsumeString(rest)
			case 2:
				total, _ := protowire.ConsumeVarint(rest)
				e.Total = int64(total)
			}
			rest = rest[n:]
		}
		return nil
	case "", es.JSONContentType:
		return json.Unmarshal(r.Data, e)
	}
	return fmt.Errorf("content type %q", r.ContentType)
}

// readAvro asks for each writer's schema by its fingerprint, as people write it: its last byte,
// which comes first, last.
func (c codec) readAvro(ctx context.Context, data []byte, e *placed) error {
	if len(data) < 10 || data[0] != 0xC3 || data[1] != 1 {
		return fmt.Errorf("no single object: %x", data)
	}
	fingerprint := slices.Clone(data[2:10])
	slices.Reverse(fingerprint)
	*c.asked = append(*c.asked, hex.EncodeToString(fingerprint))
	found, err := es.ContractOf(ctx, "AVRO", hex.EncodeToString(fingerprint))
	if err != nil {
		return err
	}
	resolved, err := avro.Resolve(avro.MustParse(found.Text), avro.MustParse(c.Text))
	if err != nil {
		return err
	}
	_, err = resolved.Decode(data[10:], e)
	return err
}

func (c codec) Describe(ctx context.Context, r es.RecordedEvent) ([]byte, error) {
	var e placed
	if err := c.read(ctx, r, &e); err != nil {
		return nil, err
	}
	return json.Marshal(e)
}

// recorded is what a store or a topic has of it.
func recorded(d es.EventData) es.RecordedEvent {
	return es.RecordedEvent{
		Recorded:    es.Recorded{ID: d.ID, Type: d.Type, Schema: d.Schema, Stream: es.StreamID{Category: "order", ID: "1"}, Version: 7},
		ContentType: d.ContentType, Data: d.Data,
	}
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
