package es_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/asof-dev/asof/es"
)

type orderEvent interface {
	es.Event
	order()
}

type shipped struct{ To string }

func (shipped) EventType() string { return "order.shipped" }
func (shipped) order()            {}

func TestMerge_has_the_types_of_all(t *testing.T) {
	t.Parallel()
	orders := es.JSON[orderEvent](shipped{})
	codec := es.Merge(paidCodec(), es.Widen[es.Event](orders))
	if want := []string{"order.paid", "order.placed", "order.shipped"}; !slices.Equal(codec.Types(), want) {
		t.Errorf("types %v", codec.Types())
	}
	for _, want := range []es.Event{paid{1, "EUR"}, placed{2}, shipped{"Bern"}} {
		data, err := codec.Encode(t.Context(), es.StreamID{}, want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := es.One(codec.Decode(t.Context(), nil, recorded(data))); err != nil || got != want {
			t.Errorf("%v: %v, %v", want, got, err)
		}
	}
	narrow := es.Widen[es.Event](orders)
	for what, f := range map[string]func() error{
		"encoded, of no codec": func() error { _, err := codec.Encode(t.Context(), es.StreamID{}, renamed{}); return err },
		"decoded, of no codec": func() error {
			_, err := es.One(codec.Decode(t.Context(), nil, stored("test.deposited", 1, `{}`)))
			return err
		},
		"encoded, of another type": func() error { _, err := narrow.Encode(t.Context(), es.StreamID{}, paid{}); return err },
		"decoded, of another type": func() error {
			_, err := es.One(narrow.Decode(t.Context(), nil, stored("order.paid", 3, `{}`)))
			return err
		},
		"decoded into what it is not": func() error {
			_, err := es.Widen[orderEvent](paidCodec()).Decode(t.Context(), nil, stored("order.placed", 1, `{}`))
			return err
		},
	} {
		if err := f(); !errors.Is(err, es.ErrUnknownType) || !strings.Contains(err.Error(), `"`) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := es.One(narrow.Decode(t.Context(), nil, stored("order.shipped", 2, `{}`))); !errors.Is(err, es.ErrNewerSchema) {
		t.Errorf("what a codec says is not what all say: %v", err)
	}
}

func ExampleMerge() {
	orders, payments := es.JSON[orderEvent](shipped{}), es.JSON[es.Event](paid{})
	codec := es.Merge(es.Widen[es.Event](orders), payments)
	fmt.Println(codec.Types())
	// Output:
	// [order.paid order.shipped]
}
