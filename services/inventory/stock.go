package inventory

import (
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// StockRow is the stock of a product, a row of stock.stock.
type StockRow struct {
	Product   string    `db:"product"    json:"product"`
	Received  int64     `db:"received"   json:"received"`
	Reserved  int64     `db:"reserved"   json:"reserved"`
	Shipped   int64     `db:"shipped"    json:"shipped"`
	Free      int64     `db:"free"       json:"free"`
	Version   int64     `db:"version"    json:"version"`
	UpdatedAt time.Time `db:"updated_at" json:"updated_at"`
}

// Stock has a row for each product.
var Stock = projections.Fold[StockRow, ProductEvent]{
	Name: "stock", Version: 1,
	Table: `
create table stock (
    product    text primary key,
    received   bigint not null,
    reserved   bigint not null,
    shipped    bigint not null,
    free       bigint not null,
    version    bigint not null,
    updated_at timestamptz not null
)`,
	Codec: ProductCodec, Categories: []string{ProductDecider.Category}, Order: projections.OneStream,
	Key: func(_ ProductEvent, r es.Recorded) string { return r.Stream.ID },
	Apply: func(row *StockRow, e ProductEvent, r es.Recorded) {
		row.Product, row.Version, row.UpdatedAt = r.Stream.ID, int64(r.Version), r.RecordedAt
		p := evolveProduct(Product{Received: row.Received, Reserved: row.Reserved, Shipped: row.Shipped, Free: row.Free}, e)
		row.Received, row.Reserved, row.Shipped, row.Free = p.Received, p.Reserved, p.Shipped, p.Free
	},
}
