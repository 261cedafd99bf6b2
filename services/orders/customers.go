package orders

import (
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// CustomerRow is what a customer's orders add up to, a row of customers.customers.
type CustomerRow struct {
	Customer     string    `db:"customer"      json:"customer"`
	Orders       int64     `db:"orders"        json:"orders"`
	Open         int64     `db:"open"          json:"open"` // neither rejected, shipped nor cancelled
	Rejected     int64     `db:"rejected"      json:"rejected"`
	Shipped      int64     `db:"shipped"       json:"shipped"`
	Cancelled    int64     `db:"cancelled"     json:"cancelled"`
	OrderedCents int64     `db:"ordered_cents" json:"ordered_cents"` // of all orders
	PaidCents    int64     `db:"paid_cents"    json:"paid_cents"`    // less what was paid back
	LastOrderAt  time.Time `db:"last_order_at" json:"last_order_at"`
}

// Customers has a row for each customer. Many streams feed it, and from Kafka their
// events come in any order among each other: so all that Apply does is to add up
// and to keep the latest time.
var Customers = projections.Fold[CustomerRow, Event]{
	Name: "customers", Version: 1,
	Table: `
create table customers (
    customer      text primary key,
    orders        bigint not null,
    open          bigint not null,
    rejected      bigint not null,
    shipped       bigint not null,
    cancelled     bigint not null,
    ordered_cents bigint not null,
    paid_cents    bigint not null,
    last_order_at timestamptz not null
)`,
	Codec: Codec, Categories: []string{Decider.Category}, Order: projections.Commuting,
	Key: func(e Event, _ es.Recorded) string { return customerOf(e) },
	Apply: func(row *CustomerRow, e Event, r es.Recorded) {
		row.Customer = customerOf(e)
		switch e := e.(type) {
		case Placed:
			row.Orders++
			row.Open++
			row.OrderedCents += total(e.Items)
			if r.RecordedAt.After(row.LastOrderAt) {
				row.LastOrderAt = r.RecordedAt
			}
		case Reserved: // open as before
		case Rejected:
			row.Open--
			row.Rejected++
		case Paid:
			row.PaidCents += e.Cents
		case Shipped:
			row.Open--
			row.Shipped++
		case Cancelled:
			row.Open--
			row.Cancelled++
			row.PaidCents -= e.RefundCents
		}
	},
}

func customerOf(e Event) string {
	switch e := e.(type) {
	case Placed:
		return e.Customer
	case Reserved:
		return e.Customer
	case Rejected:
		return e.Customer
	case Paid:
		return e.Customer
	case Shipped:
		return e.Customer
	case Cancelled:
		return e.Customer
	}
	return ""
}
