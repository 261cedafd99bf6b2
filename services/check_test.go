package services_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/services/inventory"
	"github.com/asof-dev/asof/services/orders"
)

// seen is what both logs say, folded without the read models.
type seen struct {
	*world
	orderEvents, inventoryEvents []es.RecordedEvent

	orders       map[string]aggregates.State[orders.Order]
	placed       map[string]es.Recorded // first event of each order
	reservations map[string]aggregates.State[inventory.Reservation]
	products     map[string]aggregates.State[inventory.Product]
}

func (w *world) look(shoppers int) *seen {
	w.Helper()
	s := &seen{world: w, orderEvents: w.orders.events(), inventoryEvents: w.inventory.events(), placed: map[string]es.Recorded{}}
	s.orders = fold(w, orders.Decider, s.orderEvents, func(orders.Order, es.Recorded) {})
	s.reservations = fold(w, inventory.ReservationDecider, s.inventoryEvents, func(inventory.Reservation, es.Recorded) {})
	s.products = fold(w, inventory.ProductDecider, s.inventoryEvents, func(p inventory.Product, r es.Recorded) {
		if p.Free < 0 || p.Reserved < 0 || p.Received != p.Free+p.Reserved+p.Shipped {
			w.Errorf("%s at version %d: %+v", r.Stream, r.Version, p)
		}
	})
	for _, e := range s.orderEvents {
		if e.Version == 1 {
			s.placed[e.Stream.ID] = e.Recorded
		}
	}
	if len(s.orders) != shoppers || len(s.reservations) != shoppers {
		w.Errorf("%d orders and %d reservations of %d shoppers", len(s.orders), len(s.reservations), shoppers)
	}
	// Had nothing come twice, the test would have proved little.
	for _, side := range []*side{w.orders, w.inventory} {
		if n, events := side.published(), int64(len(side.events())); n < 2*events {
			w.Errorf("%s has published %d messages of %d events: they were to come again", side.name, n, events)
		}
	}
	return s
}

// fold folds the events of a decider's category, and calls each after every event.
func fold[S any, E es.Event](t testing.TB, d aggregates.Decider[S, E], events []es.RecordedEvent, each func(S, es.Recorded)) map[string]aggregates.State[S] {
	t.Helper()
	states := map[string]aggregates.State[S]{}
	for _, recorded := range events {
		if recorded.Stream.Category != d.Category {
			continue
		}
		event, err := es.One(d.Codec.Decode(t.Context(), nil, recorded))
		if err != nil {
			t.Fatal(err)
		}
		state := states[recorded.Stream.ID]
		state.Value = d.Evolve(state.Value, event)
		state.Version, state.RecordedAt = recorded.Version, recorded.RecordedAt
		states[recorded.Stream.ID] = state
		each(state.Value, recorded.Recorded)
	}
	return states
}

// checkOrders compares the two services' opinion of each order.
func (s *seen) checkOrders() {
	s.Helper()
	ends := map[string]int{}
	for id, order := range s.orders {
		status, reservation := order.Value.Status, s.reservations[id].Value.Status
		ends[fmt.Sprintf("%s/%s", status, reservation)]++
		agree := false
		switch status {
		case orders.StatusReserved, orders.StatusPaid:
			agree = reservation == inventory.StatusConfirmed
		case orders.StatusRejected:
			agree = reservation == inventory.StatusRejected
		case orders.StatusShipped:
			agree = reservation == inventory.StatusFulfilled
		case orders.StatusCancelled:
			agree = reservation == inventory.StatusReleased || reservation == inventory.StatusRejected
		}
		if !agree {
			s.Errorf("order %s is %q and its reservation %q", id, status, reservation)
		}
	}
	s.Logf("ends of orders: %v", ends)
	for _, end := range []string{"reserved/confirmed", "rejected/rejected", "shipped/fulfilled", "cancelled/released"} {
		if ends[end] == 0 {
			s.Errorf("no order ended as %s: the traffic proves too little", end)
		}
	}
}

// checkStock compares products with the reservations that stand.
func (s *seen) checkStock(received int64) {
	s.Helper()
	want := map[string]inventory.Product{}
	for _, name := range products() {
		want[name] = inventory.Product{Received: received, Free: received}
	}
	for _, reservation := range s.reservations {
		for _, item := range reservation.Value.Items {
			p := want[item.Product]
			switch reservation.Value.Status {
			case inventory.StatusConfirmed:
				p.Reserved += item.Quantity
				p.Free -= item.Quantity
			case inventory.StatusFulfilled:
				p.Shipped += item.Quantity
				p.Free -= item.Quantity
			}
			want[item.Product] = p
		}
	}
	for name, product := range want {
		if got := s.products[name].Value; got != product {
			s.Errorf("%s: %s", name, cmp.Diff(product, got))
		}
	}
}

// checkReactions looks for reactions that happened twice, or that do not say why.
func (s *seen) checkReactions() {
	s.Helper()
	causes := map[string]es.Recorded{}
	for _, e := range slices.Concat(s.orderEvents, s.inventoryEvents) {
		causes[e.ID.String()] = e.Recorded
	}
	type reaction struct {
		cause  string
		stream es.StreamID
	}
	count := map[reaction]int{}
	look := func(e es.RecordedEvent, order, cause string) {
		m := e.Metadata
		count[reaction{m.CausationID, e.Stream}]++
		if why := causes[m.CausationID]; why.Stream.Category != cause {
			s.Errorf("%s of %s was caused by %q of %s, not by one of %s", e.Type, e.Stream, why.Type, why.Stream, cause)
		}
		if first := s.placed[order].Metadata.CorrelationID; m.CorrelationID != first || first == "" {
			s.Errorf("%s of %s has correlation %q and the order %q", e.Type, e.Stream, m.CorrelationID, first)
		}
	}
	for _, e := range s.orderEvents {
		if e.Type == "order.reserved" || e.Type == "order.rejected" {
			look(e, e.Stream.ID, "reservation")
		}
	}
	for _, e := range s.inventoryEvents {
		if e.Type != "product.received" {
			look(e, causes[e.Metadata.CausationID].Stream.ID, "order")
		}
	}
	for r, n := range count {
		if n != 1 {
			s.Errorf("%d events in %s because of %s", n, r.stream, r.cause)
		}
	}
	s.world.orders.checkInbox(s.inventoryEvents, "reservation.confirmed", "reservation.rejected")
	s.inventory.checkInbox(s.orderEvents, "order.placed", "order.cancelled", "order.shipped")
}

// checkInbox compares the messages that were reacted to with the events of the other
// service: decisions that are tolerant would hide a reaction too many.
func (s *side) checkInbox(events []es.RecordedEvent, types ...string) {
	s.t.Helper()
	want, got := 0, 0
	for _, e := range events {
		if slices.Contains(types, e.Type) {
			want++
		}
	}
	if err := s.store.Pool().QueryRow(s.t.Context(), `select count(*) from asof.inbox where consumer = $1`, s.name).Scan(&got); err != nil {
		s.t.Fatal(err)
	}
	if got != want {
		s.t.Errorf("%s has reacted to %d messages of %d events", s.name, got, want)
	}
}

// checkReadModels compares every row with the fold of the logs.
func (s *seen) checkReadModels() {
	s.Helper()
	summary, customers, stock := map[string]orders.SummaryRow{}, map[string]orders.CustomerRow{}, map[string]inventory.StockRow{}
	for id, order := range s.orders {
		o, placed := order.Value, s.placed[id].RecordedAt
		row := orders.SummaryRow{
			Order: id, Customer: o.Customer, Status: string(o.Status), TotalCents: o.TotalCents, PaidCents: o.PaidCents,
			Version: int64(order.Version), PlacedAt: placed, UpdatedAt: order.RecordedAt,
		}
		for _, item := range o.Items {
			row.Pieces += item.Quantity
		}
		summary[id] = row
		c := customers[o.Customer]
		c.Customer, c.Orders, c.OrderedCents, c.PaidCents = o.Customer, c.Orders+1, c.OrderedCents+o.TotalCents, c.PaidCents+o.PaidCents
		switch o.Status {
		case orders.StatusRejected:
			c.Rejected++
		case orders.StatusShipped:
			c.Shipped++
		case orders.StatusCancelled:
			c.Cancelled++
		default:
			c.Open++
		}
		if placed.After(c.LastOrderAt) {
			c.LastOrderAt = placed
		}
		customers[o.Customer] = c
	}
	for name, product := range s.products {
		p := product.Value
		stock[name] = inventory.StockRow{
			Product: name, Received: p.Received, Reserved: p.Reserved, Shipped: p.Shipped, Free: p.Free,
			Version: int64(product.Version), UpdatedAt: product.RecordedAt,
		}
	}
	compare(s.world.orders, "summary.summary", summary, func(r orders.SummaryRow) string { return r.Order })
	compare(s.world.orders, "customers.customers", customers, func(r orders.CustomerRow) string { return r.Customer })
	compare(s.inventory, "stock.stock", stock, func(r inventory.StockRow) string { return r.Product })
}

// compare reads a table and compares it with what it should hold.
func compare[R any](s *side, table string, want map[string]R, key func(R) string) {
	s.t.Helper()
	rows, err := s.store.Pool().Query(s.t.Context(), "select * from "+table)
	if err != nil {
		s.t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[R])
	if err != nil {
		s.t.Fatal(err)
	}
	got := map[string]R{}
	for _, row := range list {
		got[key(row)] = row
	}
	if difference := cmp.Diff(want, got); difference != "" {
		s.t.Errorf("%s is not the fold of the log (-want +got):\n%s", table, difference)
	}
}
