package registry_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/avro"
	"github.com/asof-dev/asof/es/schema/registry"
)

type priced struct {
	Price *big.Rat `avro:"price"`
}

func (priced) EventType() string { return "test.priced" }

func pricedSchema(scale int, doc string) string {
	return fmt.Sprintf(`{"type":"record","name":"priced","doc":%q,"fields":[{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":%d}}]}`, doc, scale)
}

// shelf is a registry of a test's own.
type shelf []string

func (s shelf) ID(c es.Contract) (int, bool) {
	for i, text := range s {
		if text == c.Text {
			return i, true
		}
	}
	return 0, false
}

func (s shelf) ByID(_ context.Context, id int) (es.Contract, error) {
	if id >= len(s) {
		return es.Contract{}, es.ErrUnknownContract
	}
	c, err := avro.Contract(s[id])
	c.Meaning = "" // a registry does not know it
	return c, err
}

// Avro's fingerprints do not tell of a decimal's scale: what is written by another one is not
// read by the first. A text that differs in its doc is the same.
func TestFramed_avro_of_another_meaning_is_refused(t *testing.T) {
	t.Parallel()
	on := shelf{pricedSchema(2, "one"), pricedSchema(2, "two"), pricedSchema(3, "one")}
	written := func(text string) es.RecordedEvent {
		data, err := registry.Framed(avro.New[es.Event](avro.Of(priced{}, text)), on).Encode(t.Context(), es.StreamID{Category: "a", ID: "1"}, priced{big.NewRat(5, 2)})
		if err != nil {
			t.Fatal(err)
		}
		return es.RecordedEvent{Recorded: es.Recorded{ID: data.ID, Type: data.Type, Schema: 1, Stream: es.StreamID{Category: "a", ID: "1"}, Version: 1}, ContentType: data.ContentType, Data: data.Data}
	}
	codec := registry.Framed(avro.New[es.Event](avro.Of(priced{}, pricedSchema(2, "one"))), on)
	for _, text := range on[:2] {
		if e, err := es.One(codec.Decode(t.Context(), nil, written(text))); err != nil || e.(priced).Price.Cmp(big.NewRat(5, 2)) != 0 {
			t.Errorf("%v, %v", e, err)
		}
	}
	if e, err := codec.Decode(t.Context(), nil, written(on[2])); !errors.Is(err, es.ErrUndecodable) || !strings.Contains(err.Error(), "logical types") {
		t.Errorf("%v, %v", e, err)
	}
}
