package es_test

import (
	"context"
	"errors"
	"testing"

	"github.com/asof-dev/asof/es"
)

// spelled is a codec of payloads that people cannot read.
type spelled struct{ es.Codec[es.Event] }

func (spelled) Describe(_ context.Context, r es.RecordedEvent) ([]byte, error) {
	return []byte(`{"bytes":` + string(rune('0'+len(r.Data))) + `}`), nil
}

func TestDescribe_goes_through_all_that_is_around_a_codec(t *testing.T) {
	t.Parallel()
	around := func(codec es.Codec[es.Event]) es.Codec[es.Event] {
		up := es.Upcast(codec, upcasters()...)
		return es.Merge(es.Widen[es.Event](es.WriteAs(up, "order.paid", 2, func(data []byte) ([]byte, error) { return data, nil })))
	}
	binary := stored("order.paid", 1, "\x01\x02")
	binary.ContentType = "application/avro"
	if got, err := es.Describe(t.Context(), around(spelled{paidCodec()}), binary); err != nil || string(got) != `{"bytes":2}` {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := es.Describe(t.Context(), around(paidCodec()), stored("order.paid", 1, `{"total":1.5}`)); err != nil || string(got) != `{"total":1.5}` {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := es.Describe(t.Context(), around(paidCodec()), binary); !errors.Is(err, es.ErrUnknownType) {
		t.Error(err)
	}
	if _, err := es.Describe(t.Context(), around(paidCodec()), stored("order.lost", 1, `{}`)); !errors.Is(err, es.ErrUnknownType) {
		t.Error(err)
	}
}
