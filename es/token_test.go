package es_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
)

func TestToken_is_read_as_it_was_written(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"o-1", "a/b", "a:b", "ü ñ", "::/"} {
		want := es.Token{Life: uuid.New(), Position: 12, Version: 3, Stream: es.StreamID{Category: "order", ID: id}}
		got, err := es.ParseToken(want.String())
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", want, got, err)
		}
	}
	life := uuid.NewString()
	for _, text := range []string{"", "x", life, life + ":1:2", life + ":1:2:order", "nolife:1:2:order/1", life + ":x:2:order/1", life + ":1:x:order/1", life + ":0:1:order/1", life + ":1:0:order/1", life + ":1:2:/1", life + ":1:2:order/"} {
		if got, err := es.ParseToken(text); !errors.Is(err, es.ErrInvalid) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}
