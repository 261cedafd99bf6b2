//go:build realkafka

package registry_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/registry"
	"github.com/asof-dev/asof/internal/apicurio"
)

// A registry that is not ours keeps the contracts of each language, and what is framed by its ids
// a client that is not ours reads.
func TestApicurio(t *testing.T) {
	server, err := apicurio.Start(t.Context(), apicurio.Config{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, l := range languages() {
		t.Run(l.kind, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, registry.Config{URLs: []string{server.URL()}})
			versions(t, client, l)
			frames(t, client, server.URL(), l)
		})
	}
	t.Run("the same text in two subjects", func(t *testing.T) {
		t.Parallel()
		client := newClient(t, registry.Config{URLs: []string{server.URL()}})
		for _, subject := range []string{"one-value", "a topic/with:all % that-value"} {
			if _, err := client.Register(t.Context(), subject, contract("AVRO", avroText), registry.Full); err != nil {
				t.Error(err)
			}
			if found, err := client.Versions(t.Context(), subject); err != nil || len(found) != 1 {
				t.Error(found, err)
			}
		}
	})
	t.Run("the registry's own rules", func(t *testing.T) {
		t.Parallel()
		client := newClient(t, registry.Config{URLs: []string{server.URL()}})
		if _, err := client.Register(t.Context(), "own-value", contract("AVRO", avroText), ""); err != nil {
			t.Fatal(err)
		}
		_, err := client.Register(t.Context(), "own-value", contract("AVRO", avroBroken), registry.None)
		var refused *registry.RefusedError
		if !errors.As(err, &refused) || refused.Answer == "" || len(refused.Findings) > 0 {
			t.Error(err)
		}
	})
}

func versions(t *testing.T, client *registry.Client, l texts) {
	t.Helper()
	ctx, subject := t.Context(), registry.ByTopic("orders-"+l.kind)
	if found, err := client.Versions(ctx, subject); err != nil || len(found) != 0 {
		t.Fatal(found, err)
	}
	if _, err := client.Lookup(ctx, subject, contract(l.kind, l.text)); !errors.Is(err, es.ErrUnknownContract) {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for _, text := range []string{l.text, l.next, l.text} {
		id, err := client.Register(ctx, subject, contract(l.kind, text), registry.BackwardTransitive)
		if err != nil {
			t.Fatal(err)
		}
		if was, ok := ids[text]; ok && was != id {
			t.Errorf("registered again it has the id %d, and had %d", id, was)
		}
		ids[text] = id
		if found, err := client.Lookup(ctx, subject, contract(l.kind, text)); err != nil || found != id {
			t.Error(found, err)
		}
		if found, err := client.ByID(ctx, id); err != nil || found.Kind != l.kind || !same(found.Text, text) {
			t.Error(found, err)
		}
	}
	if ids[l.text] == ids[l.next] {
		t.Error("two contracts have one id")
	}
	_, err := client.Register(ctx, subject, contract(l.kind, l.broken), registry.Backward)
	var refused *registry.RefusedError
	if !errors.As(err, &refused) || len(refused.Findings) == 0 || refused.Answer != "" {
		t.Error("not refused by our rules:", err)
	}
	found, err := client.Versions(ctx, subject)
	if err != nil || len(found) != 2 || found[0].Version != 1 || !same(found[1].Contract.Text, l.next) {
		t.Error(found, err)
	}
	if _, err := client.ByID(ctx, 987654); !errors.Is(err, es.ErrUnknownContract) {
		t.Error(err)
	}
}

// same leaves spaces out, as a registry may.
func same(a, b string) bool {
	return strings.Join(strings.Fields(a), "") == strings.Join(strings.Fields(b), "")
}

// frames writes by one client, and reads by the library's Serde, and by another client that
// knows nothing yet.
func frames(t *testing.T, client *registry.Client, url string, l texts) {
	t.Helper()
	ctx, want := t.Context(), placed{"o-1", 4200}
	data, err := registry.Framed[placed](newCodec(l.kind, l.next), client).Encode(ctx, es.StreamID{}, want)
	if l.kind == "AVRO" { // the small codec's type has not the new field
		data, err = registry.Framed[placed](newCodec(l.kind, l.text), client).Encode(ctx, es.StreamID{}, want)
	}
	if err != nil {
		t.Fatal(err)
	}
	id, _ := client.ID(*data.Contract)
	var read placed
	var serde sr.Serde
	options := []sr.EncodingOpt{sr.DecodeFn(func(b []byte, v any) error {
		if l.kind == "AVRO" {
			_, err := avro.MustParse(l.text).Decode(b, v)
			return err
		}
		content := map[string]string{"PROTOBUF": "application/protobuf", "JSON": ""}[l.kind]
		return newCodec(l.kind, l.text).read(ctx, es.RecordedEvent{ContentType: content, Data: b}, v.(*placed))
	})}
	if l.kind == "PROTOBUF" {
		options = append(options, sr.Index(0))
	}
	serde.Register(id, placed{}, options...)
	if err := serde.Decode(data.Data, &read); err != nil || read != want {
		t.Error("another client reads", read, err)
	}
	other := registry.Framed[placed](newCodec(l.kind, l.text), newClient(t, registry.Config{URLs: []string{url}}))
	if got, err := es.One(other.Decode(ctx, nil, recorded(data))); err != nil || !cmp.Equal(got, want) {
		t.Error(got, err)
	}
}
