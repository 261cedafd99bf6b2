package inventory_test

import (
	"testing"

	"github.com/asof-dev/asof/es/estest"
	"github.com/asof-dev/asof/services/inventory"
)

// What was written once is read for ever.
func TestEvents_are_read_as_they_were_written(t *testing.T) {
	t.Parallel()
	estest.Golden(t, inventory.ProductCodec, "testdata/events/product",
		inventory.StockReceived{}, inventory.StockReserved{}, inventory.StockReleased{}, inventory.StockShipped{})
	estest.Golden(t, inventory.ReservationCodec, "testdata/events/reservation",
		inventory.Confirmed{}, inventory.Rejected{}, inventory.Released{}, inventory.Fulfilled{})
}
