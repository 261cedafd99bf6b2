package fold

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
)

// What is parked stays as it was when others have the memory of the page that it came with.
func TestParked_events_are_copies(t *testing.T) {
	t.Parallel()
	k := NewParking(&Definition{Name: "n"}, 10)
	k.Def.Order = OneStream
	e := es.RecordedEvent{Data: []byte("its own")}
	e.ID = uuid.New()
	if err := k.fail(&e, "row", errors.New("no")); err != nil {
		t.Fatal(err)
	}
	id := e.ID
	copy(e.Data, "another")
	e.ID = uuid.Nil
	if got := k.Fresh[0].Event; string(got.Data) != "its own" || got.ID != id {
		t.Errorf("%s %s", got.ID, got.Data)
	}
}
