package orders_test

import (
	"testing"

	"github.com/asof-dev/asof/es/estest"
	"github.com/asof-dev/asof/services/orders"
)

// What was written once is read for ever.
func TestEvents_are_read_as_they_were_written(t *testing.T) {
	t.Parallel()
	estest.Golden(t, orders.Codec, "testdata/events",
		orders.Placed{}, orders.Reserved{}, orders.Rejected{}, orders.Paid{}, orders.Shipped{}, orders.Cancelled{})
}
