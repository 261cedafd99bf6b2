package estest_test

import (
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/estest"
)

// Shipped once had a field more.
type Shipped struct {
	To string `json:"to"`
}

func (Shipped) EventType() string { return "order.shipped" }

func ExampleGolden() {
	t := &recorder{} // in a test: its t
	estest.Golden(t, es.JSON[es.Event](Shipped{}), "testdata/example", Shipped{})
	for _, failure := range t.failures {
		fmt.Println(failure)
	}
	// Output:
	// order.shipped: .carrier of testdata/example/order.shipped.v1.json is not what it was: events with it are stored: raise EventSchema and add an upcaster, or take the change back
}
