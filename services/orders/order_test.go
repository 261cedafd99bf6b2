package orders_test

import (
	"testing"

	"github.com/asof-dev/asof/aggregates/aggregatetest"
	. "github.com/asof-dev/asof/services/orders"
)

func items() []Item {
	return []Item{{Product: "tea", Quantity: 2, PriceCents: 5_00}, {Product: "pot", Quantity: 1, PriceCents: 20_00}}
}

// Histories of an order of ann's, which costs 30.00.
func placed() []Event    { return []Event{Placed{Customer: "ann", Items: items()}} }
func reserved() []Event  { return append(placed(), Reserved{"ann"}) }
func rejected() []Event  { return append(placed(), Rejected{"ann", "no tea"}) }
func paid() []Event      { return append(reserved(), Paid{"ann", "p-1", 30_00}) }
func shipped() []Event   { return append(paid(), Shipped{"ann", "t-1"}) }
func cancelled() []Event { return append(paid(), Cancelled{"ann", "changed my mind", 30_00}) }

func TestOrder_goes_its_way(t *testing.T) {
	t.Parallel()
	order := aggregatetest.For(t, Decider)
	order.When(Place("ann", items())).Then(placed()...)
	order.Given(placed()...).When(Reserve).Then(Reserved{"ann"})
	order.Given(placed()...).When(Reject("no tea")).Then(Rejected{"ann", "no tea"})
	order.Given(reserved()...).When(Pay("p-1", 30_00)).Then(Paid{"ann", "p-1", 30_00})
	order.Given(paid()...).When(Ship("t-1")).Then(Shipped{"ann", "t-1"}).ThenState(Order{
		Status: StatusShipped, Customer: "ann", Items: items(), TotalCents: 30_00, Payment: "p-1", PaidCents: 30_00, Tracking: "t-1",
	})
}

func TestCancel_pays_back_what_was_paid(t *testing.T) {
	t.Parallel()
	order := aggregatetest.For(t, Decider)
	order.Given(placed()...).When(Cancel("late")).Then(Cancelled{"ann", "late", 0})
	order.Given(reserved()...).When(Cancel("late")).Then(Cancelled{"ann", "late", 0})
	order.Given(paid()...).When(Cancel("late")).Then(Cancelled{"ann", "late", 30_00}).ThenState(Order{
		Status: StatusCancelled, Customer: "ann", Items: items(), TotalCents: 30_00, Payment: "p-1", Reason: "late",
	})
}

func TestOrder_refuses(t *testing.T) {
	t.Parallel()
	other := items()[:1]
	for name, test := range map[string]struct {
		given  []Event
		decide func(Order) ([]Event, error)
		want   error
	}{
		"other items by the same key":                       {placed(), Place("ann", other), ErrOtherOrder},
		"another customer":                                  {placed(), Place("bob", items()), ErrOtherOrder},
		"to pay nothing":                                    {nil, Pay("p-1", 30_00), ErrNotFound},
		"to pay before it is reserved":                      {placed(), Pay("p-1", 30_00), ErrNotReserved},
		"to pay less than the price":                        {reserved(), Pay("p-1", 29_99), ErrWrongPayment},
		"to pay when rejected":                              {rejected(), Pay("p-1", 30_00), ErrRejected},
		"to pay when cancelled":                             {cancelled(), Pay("p-2", 30_00), ErrCancelled},
		"to pay twice":                                      {paid(), Pay("p-2", 30_00), ErrPaid},
		"to pay what is shipped":                            {shipped(), Pay("p-2", 30_00), ErrPaid},
		"to ship nothing":                                   {nil, Ship("t-1"), ErrNotFound},
		"to ship what is only placed":                       {placed(), Ship("t-1"), ErrNotPaid},
		"to ship what is not paid":                          {reserved(), Ship("t-1"), ErrNotPaid},
		"to ship what is rejected":                          {rejected(), Ship("t-1"), ErrRejected},
		"to ship what is cancelled":                         {cancelled(), Ship("t-1"), ErrCancelled},
		"to ship twice":                                     {shipped(), Ship("t-2"), ErrShipped},
		"to cancel nothing":                                 {nil, Cancel("late"), ErrNotFound},
		"to cancel what is rejected":                        {rejected(), Cancel("late"), ErrRejected},
		"to cancel what is on its way":                      {shipped(), Cancel("late"), ErrShipped},
		"other cents by the same reference":                 {paid(), Pay("p-1", 29_99), ErrOtherPayment},
		"other cents by the same reference, when shipped":   {shipped(), Pay("p-1", 1), ErrOtherPayment},
		"other cents by the same reference, when paid back": {cancelled(), Pay("p-1", 0), ErrOtherPayment},
		"to cancel again for another reason":                {cancelled(), Cancel("late"), ErrOtherReason},
		"other items by the same key, in another order":     {placed(), Place("ann", []Item{items()[1], items()[0]}), ErrOtherOrder},
		"other items by the same key, when it has gone on":  {cancelled(), Place("ann", other), ErrOtherOrder},
		"the payment error is one kind":                     {reserved(), Pay("p-1", 0), ErrWrongPayment},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aggregatetest.For(t, Decider).Given(test.given...).When(test.decide).Fails(test.want)
		})
	}
}

// A client whose answer was lost sends its request again, maybe much later.
func TestDecisions_made_again_decide_nothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		given  []Event
		decide func(Order) ([]Event, error)
	}{
		"place":                      {placed(), Place("ann", items())},
		"place, when it is shipped":  {shipped(), Place("ann", items())},
		"pay":                        {paid(), Pay("p-1", 30_00)},
		"pay, when it is shipped":    {shipped(), Pay("p-1", 30_00)},
		"pay, when it was paid back": {cancelled(), Pay("p-1", 30_00)},
		"ship":                       {shipped(), Ship("t-1")},
		"cancel":                     {cancelled(), Cancel("changed my mind")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aggregatetest.For(t, Decider).Given(test.given...).When(test.decide).Then()
		})
	}
}

// Inventory's answer may come when the order has gone on, or twice.
func TestAnswers_that_come_late_decide_nothing(t *testing.T) {
	t.Parallel()
	for name, given := range map[string][]Event{
		"none": nil, "reserved": reserved(), "rejected": rejected(), "paid": paid(), "shipped": shipped(), "cancelled": cancelled(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			order := aggregatetest.For(t, Decider).Given(given...)
			order.When(Reserve).Then()
			order.When(Reject("no tea")).Then()
		})
	}
}
