package main

import (
	"context"
	"fmt"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/services/inventory"
	"github.com/asof-dev/asof/services/orders"
)

// The demo folds the logs by code of its own, so that what it compares the read
// models with owes nothing to the code that keeps them.

// readAll reads a log to its settled end.
func readAll(ctx context.Context, store *pgstore.Store) ([]es.RecordedEvent, error) {
	head, err := store.Settle(ctx, time.Time{})
	if err != nil {
		return nil, err
	}
	var all []es.RecordedEvent
	for after := es.Position(0); after < head; {
		page, err := store.Read(ctx, after, 5000)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return all, nil
		}
		all = append(all, page...)
		after = page[len(page)-1].Position
	}
	return all, nil
}

// inOrder checks positions and versions of a log: none twice, none left out.
func inOrder(events []es.RecordedEvent) error {
	last := map[es.StreamID]es.Version{}
	var position es.Position
	for _, e := range events {
		if e.Position <= position {
			return fmt.Errorf("position %d comes after %d", e.Position, position)
		}
		if e.Version != last[e.Stream]+1 {
			return fmt.Errorf("%s: version %d comes after %d", e.Stream, e.Version, last[e.Stream])
		}
		position, last[e.Stream] = e.Position, e.Version
	}
	return nil
}

// orderLog is what the log of orders says.
type orderLog struct {
	orders    map[string]*foldedOrder
	summary   map[string]orders.SummaryRow
	customers map[string]orders.CustomerRow
}

type foldedOrder struct {
	count             map[string]int // events by type
	status            string
	payment, tracking string
}

func foldOrders(ctx context.Context, events []es.RecordedEvent) (*orderLog, error) {
	l := &orderLog{orders: map[string]*foldedOrder{}, summary: map[string]orders.SummaryRow{}, customers: map[string]orders.CustomerRow{}}
	for _, recorded := range events {
		decoded, err := orders.Codec.Decode(ctx, nil, recorded)
		if err != nil {
			return nil, err
		}
		for _, event := range decoded {
			l.add(event, recorded.Recorded)
		}
	}
	return l, nil
}

func (l *orderLog) add(event orders.Event, r es.Recorded) {
	id := r.Stream.ID
	o := l.orders[id]
	if o == nil {
		o = &foldedOrder{count: map[string]int{}}
		l.orders[id] = o
	}
	o.count[r.Type]++
	row := l.summary[id]
	row.Order, row.Version, row.UpdatedAt = id, int64(r.Version), r.RecordedAt
	if placed, ok := event.(orders.Placed); ok {
		row.Customer, row.PlacedAt = placed.Customer, r.RecordedAt
		for _, item := range placed.Items {
			row.Pieces += item.Quantity
			row.TotalCents += item.Quantity * item.PriceCents
		}
	}
	customer := l.customers[row.Customer]
	customer.Customer = row.Customer
	switch e := event.(type) {
	case orders.Placed:
		o.status = "placed"
		customer.Orders++
		customer.Open++
		customer.OrderedCents += row.TotalCents
		if r.RecordedAt.After(customer.LastOrderAt) { // times ascend within a stream only
			customer.LastOrderAt = r.RecordedAt
		}
	case orders.Reserved:
		o.status = "reserved"
	case orders.Rejected:
		o.status = "rejected"
		customer.Open--
		customer.Rejected++
	case orders.Paid:
		o.status, o.payment = "paid", e.Reference
		row.PaidCents += e.Cents
		customer.PaidCents += e.Cents
	case orders.Shipped:
		o.status, o.tracking = "shipped", e.Tracking
		customer.Open--
		customer.Shipped++
	case orders.Cancelled:
		o.status = "cancelled"
		row.PaidCents -= e.RefundCents
		customer.Open--
		customer.Cancelled++
		customer.PaidCents -= e.RefundCents
	}
	row.Status = o.status
	l.summary[id], l.customers[row.Customer] = row, customer
}

// stockLog is what the log of inventory says.
type stockLog struct {
	stock        map[string]inventory.StockRow
	reservations map[string][]string // event types, by order
	negative     error               // the first time that less than nothing was free
}

func foldStock(ctx context.Context, events []es.RecordedEvent) (*stockLog, error) {
	l := &stockLog{stock: map[string]inventory.StockRow{}, reservations: map[string][]string{}}
	for _, recorded := range events {
		if recorded.Stream.Category == inventory.ReservationDecider.Category {
			l.reservations[recorded.Stream.ID] = append(l.reservations[recorded.Stream.ID], recorded.Type)
			continue
		}
		decoded, err := inventory.ProductCodec.Decode(ctx, nil, recorded)
		if err != nil {
			return nil, err
		}
		for _, event := range decoded {
			l.add(event, recorded.Recorded)
		}
	}
	return l, nil
}

func (l *stockLog) add(event inventory.ProductEvent, r es.Recorded) {
	row := l.stock[r.Stream.ID]
	row.Product, row.Version, row.UpdatedAt = r.Stream.ID, int64(r.Version), r.RecordedAt
	switch e := event.(type) {
	case inventory.StockReceived:
		row.Received += e.Quantity
	case inventory.StockReserved:
		row.Reserved += e.Quantity
	case inventory.StockReleased:
		row.Reserved -= e.Quantity
	case inventory.StockShipped:
		row.Reserved -= e.Quantity
		row.Shipped += e.Quantity
	}
	if row.Free = row.Received - row.Reserved - row.Shipped; row.Free < 0 && l.negative == nil {
		l.negative = fmt.Errorf("%s at position %d: %d pieces are free", row.Product, r.Position, row.Free)
	}
	l.stock[r.Stream.ID] = row
}

// agree checks that both services say the same of every order.
func agree(o *orderLog, s *stockLog) error {
	for id, order := range o.orders {
		history := s.reservations[id]
		last := ""
		if len(history) > 0 {
			last = history[len(history)-1]
		}
		if want := map[string]string{
			"reserved": "reservation.confirmed", "paid": "reservation.confirmed", "rejected": "reservation.rejected", "shipped": "reservation.fulfilled",
		}[order.status]; want != "" && last != want {
			return fmt.Errorf("order %s is %s, its reservation %v", id, order.status, history)
		}
		if order.status == "cancelled" && last == "reservation.confirmed" || order.status == "placed" || len(history) == 0 || len(history) > 2 {
			return fmt.Errorf("order %s is %s, its reservation %v", id, order.status, history)
		}
	}
	if len(s.reservations) != len(o.orders) {
		return fmt.Errorf("%d orders and %d reservations", len(o.orders), len(s.reservations))
	}
	return nil
}
