package inventory_test

import (
	"testing"

	"github.com/asof-dev/asof/aggregates/aggregatetest"
	. "github.com/asof-dev/asof/services/inventory"
)

func TestProduct_is_reserved_and_leaves_or_comes_back(t *testing.T) {
	t.Parallel()
	tea := aggregatetest.For(t, ProductDecider).Given(StockReceived{"r-1", 10})
	tea.When(Reserve("o-1", 10)).Then(StockReserved{"o-1", 10}).ThenState(Product{Received: 10, Reserved: 10})
	tea = tea.Given(StockReserved{"o-1", 4})
	tea.When(Ship("o-1", 4)).Then(StockShipped{"o-1", 4}).ThenState(Product{Received: 10, Shipped: 4, Free: 6})
	tea.When(Release("o-1", 4)).Then(StockReleased{"o-1", 4}).ThenState(Product{Received: 10, Free: 10})
}

func TestProduct_refuses_what_is_not_there(t *testing.T) {
	t.Parallel()
	aggregatetest.For(t, ProductDecider).When(Reserve("o-1", 1)).Fails(ErrShortage)
	tea := aggregatetest.For(t, ProductDecider).Given(StockReceived{"r-1", 10}, StockReserved{"o-1", 4})
	tea.When(Reserve("o-2", 7)).Fails(ErrShortage)
	tea.When(Release("o-1", 5)).Fails(ErrNotReserved)
	tea.When(Ship("o-1", 5)).Fails(ErrNotReserved)
}

func TestReservation_takes_what_comes_once_and_in_any_order(t *testing.T) {
	t.Parallel()
	items := []Item{{"tea", 2}}
	shortages := []Shortage{{"tea", 2, 1}}
	none := aggregatetest.For(t, ReservationDecider)
	none.When(Confirm(items)).Then(Confirmed{items})
	none.When(Reject(shortages)).Then(Rejected{shortages})
	none.When(Cancel).Then(Released{}) // noted before the order is known
	none.When(Fulfil).Then()

	confirmed := none.Given(Confirmed{items})
	confirmed.When(Confirm(items)).Then()
	confirmed.When(Reject(shortages)).Then()
	confirmed.When(Cancel).Then(Released{}).ThenState(Reservation{Status: StatusReleased, Items: items})
	confirmed.When(Fulfil).Then(Fulfilled{}).ThenState(Reservation{Status: StatusFulfilled, Items: items})

	for name, ended := range map[string]aggregatetest.Scenario[Reservation, ReservationEvent]{
		"rejected":                     none.Given(Rejected{shortages}),
		"released":                     confirmed.Given(Released{}),
		"released before it was known": none.Given(Released{}),
		"fulfilled":                    confirmed.Given(Fulfilled{}),
	} {
		t.Run(name, func(*testing.T) {
			ended.When(Confirm(items)).Then()
			ended.When(Reject(shortages)).Then()
			ended.When(Cancel).Then()
			ended.When(Fulfil).Then()
		})
	}
}
