package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/services/inventory"
	"github.com/asof-dev/asof/services/orders"
)

// Each check of the demo must be able to fail: one planted fault each.

// recorded makes events of one order, one after the other.
func recorded(t *testing.T, events ...orders.Event) []es.RecordedEvent {
	t.Helper()
	var list []es.RecordedEvent
	for i, event := range events {
		data, err := orders.Codec.Encode(t.Context(), es.StreamID{}, event)
		if err != nil {
			t.Fatal(err)
		}
		e := es.RecordedEvent{Data: data.Data}
		e.Type, e.Stream = data.Type, es.StreamID{Category: "order", ID: "o-1"}
		e.Version, e.Position, e.RecordedAt = es.Version(i+1), es.Position(i+1), time.Unix(int64(i), 0).UTC()
		list = append(list, e)
	}
	return list
}

func shipped(t *testing.T) []es.RecordedEvent {
	return recorded(t,
		orders.Placed{Customer: "ann", Items: []orders.Item{{Product: "apple", Quantity: 2, PriceCents: 50}}},
		orders.Reserved{Customer: "ann"}, orders.Paid{Customer: "ann", Reference: "p-1", Cents: 100}, orders.Shipped{Customer: "ann", Tracking: "t-1"})
}

func fold(t *testing.T, events []es.RecordedEvent) *orderLog {
	t.Helper()
	l, err := foldOrders(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLog_out_of_order_is_seen(t *testing.T) {
	t.Parallel()
	good := shipped(t)
	if err := inOrder(good); err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string][]es.RecordedEvent{
		"twice":    {good[0], good[1], good[1]},
		"left out": {good[0], good[2]},
		"swapped":  {good[1], good[0]},
	} {
		if inOrder(bad) == nil {
			t.Errorf("%s: not seen", what)
		}
	}
}

func TestAnswers_that_the_log_does_not_have_are_seen(t *testing.T) {
	t.Parallel()
	l := fold(t, shipped(t))
	good := func() *placed {
		return &placed{id: "o-1", payments: []string{"p-1"}, shipped: []string{"t-1"}}
	}
	if err := (&traffic{list: []*placed{good()}}).kept(l); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*placed){
		"an order is lost":         func(o *placed) { o.id = "o-2" },
		"a payment is lost":        func(o *placed) { o.payments = append(o.payments, "p-2") },
		"a payment nobody made":    func(o *placed) { o.payments = nil },
		"another payment":          func(o *placed) { o.payments = []string{"p-2"} },
		"another parcel":           func(o *placed) { o.shipped = []string{"t-2"} },
		"a cancellation is lost":   func(o *placed) { o.cancels = 1 },
		"a parcel that nobody saw": func(o *placed) { o.shipped = nil },
	} {
		o := good()
		change(o)
		if (&traffic{list: []*placed{o}}).kept(l) == nil {
			t.Errorf("%s: not seen", what)
		}
	}
	if (&traffic{}).kept(l) == nil {
		t.Error("an order that nobody placed: not seen")
	}
}

func TestServices_that_disagree_are_seen(t *testing.T) {
	t.Parallel()
	l := fold(t, shipped(t))
	for history, ok := range map[string]bool{
		"[reservation.confirmed reservation.fulfilled]":                       true,
		"[reservation.confirmed]":                                             false,
		"[reservation.rejected]":                                              false,
		"[reservation.confirmed reservation.confirmed reservation.fulfilled]": false,
		"[]": false,
	} {
		var types []string
		var list [3]string
		n, _ := fmt.Sscanf(history[1:len(history)-1], "%s %s %s", &list[0], &list[1], &list[2])
		types = append(types, list[:n]...)
		err := agree(l, &stockLog{reservations: map[string][]string{"o-1": types}})
		if (err == nil) != ok {
			t.Errorf("%s: %v", history, err)
		}
	}
	if agree(l, &stockLog{reservations: map[string][]string{"o-1": {"reservation.confirmed", "reservation.fulfilled"}, "o-2": {"reservation.rejected"}}}) == nil {
		t.Error("a reservation for no order: not seen")
	}
}

func TestRows_that_differ_are_seen(t *testing.T) {
	t.Parallel()
	l := fold(t, shipped(t))
	if row := l.summary["o-1"]; row.Status != "shipped" || row.TotalCents != 100 || row.PaidCents != 100 || row.Version != 4 {
		t.Errorf("the fold says %+v", row)
	}
	if row := l.customers["ann"]; row.Orders != 1 || row.Open != 0 || row.Shipped != 1 || row.PaidCents != 100 {
		t.Errorf("the fold says %+v", row)
	}
	changed := l.summary["o-1"]
	changed.PaidCents++
	for what, model := range map[string]map[string]orders.SummaryRow{
		"missing": {}, "changed": {"o-1": changed}, "too many": {"o-1": l.summary["o-1"], "o-2": {}},
	} {
		if same(l.summary, model) == nil {
			t.Errorf("a row %s: not seen", what)
		}
	}
}

func TestStock_given_away_twice_is_seen(t *testing.T) {
	t.Parallel()
	var events []es.RecordedEvent
	for i, event := range []inventory.ProductEvent{
		inventory.StockReceived{Reference: "d-1", Quantity: 2}, inventory.StockReserved{Order: "o-1", Quantity: 2},
		inventory.StockReserved{Order: "o-2", Quantity: 1}, inventory.StockReleased{Order: "o-1", Quantity: 2},
	} {
		data, err := inventory.ProductCodec.Encode(t.Context(), es.StreamID{}, event)
		if err != nil {
			t.Fatal(err)
		}
		e := es.RecordedEvent{Data: data.Data}
		e.Type, e.Stream, e.Version = data.Type, es.StreamID{Category: "product", ID: "apple"}, es.Version(i+1)
		events = append(events, e)
	}
	l, err := foldStock(t.Context(), events)
	if err != nil || l.negative == nil || l.stock["apple"].Free != 1 {
		t.Errorf("%+v, %v: the stock was below zero for a moment", l, err)
	}
}

func TestPrograms_that_go_on_with_another_database_are_seen(t *testing.T) {
	t.Parallel()
	says := es.ErrRestored.Error() + ": the database's oid is 2 and was 1: say so by the command `orders repair`"
	if err := refused(errors.New("exit status 4"), says); err != nil {
		t.Errorf("a refusal: %v", err)
	}
	for what, err := range map[string]error{
		"it goes on":              refused(nil, says),
		"another reason":          refused(errors.New("exit status 5"), "the database cannot be reached"),
		"nothing of what to do":   refused(errors.New("exit status 4"), es.ErrRestored.Error()),
		"another program's words": refused(errors.New("exit status 4"), strings.ReplaceAll(says, "orders repair", "asof repair")),
	} {
		if err == nil {
			t.Errorf("%s: not seen", what)
		}
	}
}
