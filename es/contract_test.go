package es_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/asof-dev/asof/es"
)

// finding is a codec whose events say what it finds of a contract.
type finding struct{ es.Codec[finds] }

type finds string

func (finds) EventType() string { return "finds" }

func (finding) Decode(ctx context.Context, into []finds, recorded es.RecordedEvent) ([]finds, error) {
	c, err := es.ContractOf(ctx, "AVRO", string(recorded.Data))
	if errors.Is(err, es.ErrUnknownContract) {
		c.Text = "unknown"
	}
	return append(into, finds(c.Text)), nil
}

type oneContract es.Contract

func (c oneContract) Contract(_ context.Context, kind, fingerprint string) (es.Contract, error) {
	if fingerprint != c.Fingerprint {
		return es.Contract{}, fmt.Errorf("%w: %s %s", es.ErrUnknownContract, kind, fingerprint)
	}
	return es.Contract(c), nil
}

// What an upcaster has written is read by its contract, and what it has left by that of the log.
func TestUpcast_brings_contracts_along(t *testing.T) {
	t.Parallel()
	codec := es.Upcast[finds](finding{es.JSON(finds(""))}, es.Upcaster{Type: "finds", Schema: 1, Up: func(_ context.Context, p es.Payload) ([]es.Payload, error) {
		p.Schema, p.Contract = 2, &es.Contract{Kind: "AVRO", Fingerprint: "mine", Text: "my text"}
		return []es.Payload{p}, nil
	}}, es.Upcaster{Type: "finds", Schema: 2, Up: func(ctx context.Context, p es.Payload) ([]es.Payload, error) {
		if _, err := es.ContractOf(ctx, "AVRO", "mine"); err != nil {
			return nil, err
		}
		p.Schema = 3
		return []es.Payload{p}, nil
	}})
	log := es.WithContracts(t.Context(), oneContract{Kind: "AVRO", Fingerprint: "the log's", Text: "its text"})
	for _, of := range []struct {
		ctx               context.Context
		fingerprint, want string
	}{
		{log, "mine", "my text"},
		{log, "the log's", "its text"},
		{log, "another", "unknown"},
		{t.Context(), "mine", "my text"},
		{t.Context(), "the log's", "unknown"},
	} {
		got, err := es.One(codec.Decode(of.ctx, nil, es.RecordedEvent{Recorded: es.Recorded{Type: "finds", Schema: 1}, Data: []byte(of.fingerprint)}))
		if err != nil || string(got) != of.want {
			t.Errorf("%s: %q, %v", of.fingerprint, got, err)
		}
	}
	if _, err := codec.Decode(t.Context(), nil, es.RecordedEvent{Recorded: es.Recorded{Type: "finds", Schema: 2}}); !errors.Is(err, es.ErrUnknownContract) {
		t.Error(err)
	}
}

func TestContract_same(t *testing.T) {
	t.Parallel()
	was := es.Contract{Kind: "AVRO", Fingerprint: "f", Meaning: "m", Text: "t"}
	for what, of := range map[string]struct {
		is   es.Contract
		want bool
	}{
		"itself":              {was, true},
		"another text":        {es.Contract{Kind: "AVRO", Fingerprint: "f", Meaning: "m", Text: "u"}, true},
		"another meaning":     {es.Contract{Kind: "AVRO", Fingerprint: "f", Meaning: "n", Text: "t"}, false},
		"no meaning":          {es.Contract{Kind: "AVRO", Fingerprint: "f", Text: "t"}, false},
		"another kind":        {es.Contract{Kind: "JSON", Fingerprint: "f", Meaning: "m", Text: "t"}, false},
		"another fingerprint": {es.Contract{Kind: "AVRO", Fingerprint: "g", Meaning: "m", Text: "t"}, false},
	} {
		if was.Same(of.is) != of.want || of.is.Same(was) != of.want {
			t.Errorf("%s: %v", what, !of.want)
		}
	}
	plain := es.Contract{Kind: "JSON", Fingerprint: "f", Text: "t"}
	if !plain.Same(plain) || plain.Same(es.Contract{Kind: "JSON", Fingerprint: "f", Text: "u"}) {
		t.Error("without a meaning the text is it")
	}
}
