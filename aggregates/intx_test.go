package aggregates //nolint:testpackage // whether a field is kept is seen by the fields alone

import (
	"reflect"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/memstore"
)

type happened struct{}

func (happened) EventType() string { return "it.happened" }

// Who adds a field to Repository sets it here, and InTx keeps it, or says why not.
func TestInTx_keeps_every_field_but_two(t *testing.T) {
	t.Parallel()
	outside := New[int, happened](memstore.New(), Decider[int, happened]{
		Category: "it", Evolve: func(n int, _ happened) int { return n + 1 }, Codec: es.JSON[happened](happened{}),
	}, WithAttempts(7))
	tx := memstore.New()
	inside := outside.InTx(tx)
	if inside.store != es.Store(tx) || inside.options.attempts != 1 {
		t.Errorf("in a transaction the store is %p and a decision is tried %d times", inside.store, inside.options.attempts)
	}
	if outside.store == es.Store(tx) || outside.options.attempts != 7 {
		t.Errorf("outside the store is %p and a decision is tried %d times", outside.store, outside.options.attempts)
	}
	want := *outside
	want.store, want.options.attempts = tx, 1
	was, is := reflect.ValueOf(want), reflect.ValueOf(*inside)
	for i := range was.NumField() {
		name := was.Type().Field(i).Name
		if was.Field(i).IsZero() {
			t.Errorf("%s is not set, so that nothing is said about it", name)
		}
		if name == "decider" { // functions do not compare
			if inside.decider.Category != outside.decider.Category || inside.decider.Evolve == nil || inside.decider.Codec == nil {
				t.Errorf("decider: %+v", inside.decider)
			}
			continue
		}
		if !was.Field(i).Equal(is.Field(i)) {
			t.Errorf("%s was lost: %v, outside %v", name, is.Field(i), was.Field(i))
		}
	}
}
