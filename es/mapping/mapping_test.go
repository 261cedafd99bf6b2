package mapping_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/mapping"
)

func recorded(data string) es.RecordedEvent {
	return es.RecordedEvent{
		Recorded: es.Recorded{
			ID: es.NewID(), Type: "cart.checked_out", Schema: 1, Stream: es.StreamID{Category: "cart", ID: "c-7"}, Version: 3, Position: 9,
			Metadata: es.Metadata{CorrelationID: "c"},
		},
		ContentType: es.JSONContentType, Data: []byte(data),
	}
}

func of(publish func(Checkout) ([]es.Event, error)) mapping.Mapping {
	return mapping.Of(mapping.Config[Checkout, es.Event]{
		Name: "public", Category: "cart", Codec: es.JSON(Checkout{}), Public: es.JSON[es.Event](OrderPlaced{}),
		Map: func(_ context.Context, e Checkout, _ es.Recorded) ([]es.Event, error) { return publish(e) },
	})
}

// What is published of an event keeps all by which consumers know it.
func TestPublish_keeps_which_event_it_is(t *testing.T) {
	t.Parallel()
	e := recorded(`{"cents":5}`)
	list, err := publicOrders().Publish(t.Context(), e)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	want := e
	want.Type, want.Data = "shop.order_placed", []byte(`{"total":"0.05 EUR"}`)
	if diff := cmp.Diff(want, list[0].RecordedEvent); diff != "" {
		t.Error(diff)
	}
	if list, err = mapping.Plain("cart", "copy").Publish(t.Context(), e); err != nil || len(list) != 1 || !cmp.Equal(e, list[0].RecordedEvent) {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestPublish_says_what_failed(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		m    mapping.Mapping
		data string
		is   error
		says string
	}{
		"an error":                  {of(func(Checkout) ([]es.Event, error) { return nil, errors.New("not this one") }), `{}`, nil, "not this one"},
		"a panic":                   {of(func(Checkout) ([]es.Event, error) { panic("oh") }), `{}`, nil, "panic: oh"},
		"nothing":                   {of(func(Checkout) ([]es.Event, error) { return nil, nil }), `{}`, es.ErrInvalid, "say Sparse"},
		"what Public does not know": {of(func(Checkout) ([]es.Event, error) { return []es.Event{CouponUsed{}}, nil }), `{}`, es.ErrUnknownType, "CouponUsed"},
		"what is too large for Kafka": {of(func(Checkout) ([]es.Event, error) {
			return []es.Event{OrderPlaced{strings.Repeat("x", es.MaxData)}}, nil
		}), `{}`, es.ErrInvalid, "at most"},
		"what does not decode": {publicOrders(), `[`, es.ErrUndecodable, "cart.checked_out"},
	} {
		list, err := c.m.Publish(t.Context(), recorded(c.data))
		if err == nil || list != nil || !strings.Contains(err.Error(), c.says) || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), "cart.checked_out of cart/c-7 version 3") {
			t.Errorf("%s: %v, %v", what, list, err)
		}
	}
}
