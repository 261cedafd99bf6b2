package orders

import (
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// SummaryRow is an order as lists show it, a row of summary.summary.
type SummaryRow struct {
	Order      string    `db:"order_id"    json:"order"`
	Customer   string    `db:"customer"    json:"customer"`
	Status     string    `db:"status"      json:"status"`
	Pieces     int64     `db:"pieces"      json:"pieces"`
	TotalCents int64     `db:"total_cents" json:"total_cents"`
	PaidCents  int64     `db:"paid_cents"  json:"paid_cents"`
	Version    int64     `db:"version"     json:"version"`
	PlacedAt   time.Time `db:"placed_at"   json:"placed_at"`
	UpdatedAt  time.Time `db:"updated_at"  json:"updated_at"`
}

// Summary has a row for each order.
var Summary = projections.Fold[SummaryRow, Event]{
	Name: "summary", Version: 1,
	Table: `
create table summary (
    order_id    text primary key,
    customer    text not null,
    status      text not null,
    pieces      bigint not null,
    total_cents bigint not null,
    paid_cents  bigint not null,
    version     bigint not null,
    placed_at   timestamptz not null,
    updated_at  timestamptz not null
);
create index on summary (customer, order_id);
create index on summary (status, order_id)`,
	Codec: Codec, Categories: []string{Decider.Category}, Order: projections.OneStream,
	Key: func(_ Event, r es.Recorded) string { return r.Stream.ID },
	Apply: func(row *SummaryRow, e Event, r es.Recorded) {
		row.Order, row.Version, row.UpdatedAt = r.Stream.ID, int64(r.Version), r.RecordedAt
		switch e := e.(type) {
		case Placed:
			row.Customer, row.Status, row.TotalCents, row.PlacedAt = e.Customer, string(StatusPlaced), total(e.Items), r.RecordedAt
			for _, item := range e.Items {
				row.Pieces += item.Quantity
			}
		case Reserved:
			row.Status = string(StatusReserved)
		case Rejected:
			row.Status = string(StatusRejected)
		case Paid:
			row.Status, row.PaidCents = string(StatusPaid), e.Cents
		case Shipped:
			row.Status = string(StatusShipped)
		case Cancelled:
			row.Status, row.PaidCents = string(StatusCancelled), row.PaidCents-e.RefundCents
		}
	},
}
