package inventory

import (
	"errors"
	"fmt"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
)

// ProductEvent is what can happen to the stock of a product.
//
//sumtype:decl
type ProductEvent interface {
	es.Event
	product()
}

type (
	// StockReceived means that pieces have come in. The reference is the delivery's.
	StockReceived struct {
		Reference string `json:"reference"`
		Quantity  int64  `json:"quantity"`
	}
	// StockReserved means that pieces are kept for an order.
	StockReserved struct {
		Order    string `json:"order"`
		Quantity int64  `json:"quantity"`
	}
	// StockReleased means that pieces which were kept are free again.
	StockReleased struct {
		Order    string `json:"order"`
		Quantity int64  `json:"quantity"`
	}
	// StockShipped means that pieces which were kept have left.
	StockShipped struct {
		Order    string `json:"order"`
		Quantity int64  `json:"quantity"`
	}
)

func (StockReceived) EventType() string { return "product.received" }
func (StockReserved) EventType() string { return "product.reserved" }
func (StockReleased) EventType() string { return "product.released" }
func (StockShipped) EventType() string  { return "product.shipped" }

func (StockReceived) product() {}
func (StockReserved) product() {}
func (StockReleased) product() {}
func (StockShipped) product()  {}

// Product is what decisions look at: received == shipped + reserved + free.
type Product struct {
	Received int64 `json:"received"`
	Reserved int64 `json:"reserved"` // kept for orders
	Shipped  int64 `json:"shipped"`
	Free     int64 `json:"free"` // never below zero
}

// ProductCodec reads and writes the events.
var ProductCodec = es.JSON[ProductEvent](StockReceived{}, StockReserved{}, StockReleased{}, StockShipped{})

// ProductDecider is how products decide.
var ProductDecider = aggregates.Decider[Product, ProductEvent]{Category: "product", Evolve: evolveProduct, Codec: ProductCodec}

func evolveProduct(p Product, e ProductEvent) Product {
	switch e := e.(type) {
	case StockReceived:
		p.Received += e.Quantity
		p.Free += e.Quantity
	case StockReserved:
		p.Free -= e.Quantity
		p.Reserved += e.Quantity
	case StockReleased:
		p.Reserved -= e.Quantity
		p.Free += e.Quantity
	case StockShipped:
		p.Reserved -= e.Quantity
		p.Shipped += e.Quantity
	}
	return p
}

var (
	// ErrShortage: less is free than is wanted. The error is a [*ShortageError].
	ErrShortage = errors.New("inventory: not enough is free")
	// ErrNotReserved: more is given back or shipped than was reserved.
	ErrNotReserved = errors.New("inventory: not that much is reserved")
)

// ShortageError says how much is free. errors.Is(err, ErrShortage) is true for it.
type ShortageError struct{ Wanted, Free int64 }

func (e *ShortageError) Error() string {
	return fmt.Sprintf("inventory: %d are wanted and %d are free: receive more first", e.Wanted, e.Free)
}

// Is makes errors.Is(err, ErrShortage) true.
func (e *ShortageError) Is(target error) bool { return target == ErrShortage }

// Reserve keeps pieces for an order. Which orders have been served, the
// [Reservation] knows: the two are decided in one transaction.
func Reserve(order string, quantity int64) func(Product) ([]ProductEvent, error) {
	return func(p Product) ([]ProductEvent, error) {
		if p.Free < quantity {
			return nil, &ShortageError{Wanted: quantity, Free: p.Free}
		}
		return []ProductEvent{StockReserved{order, quantity}}, nil
	}
}

// Release gives back what Reserve kept.
func Release(order string, quantity int64) func(Product) ([]ProductEvent, error) {
	return func(p Product) ([]ProductEvent, error) {
		if p.Reserved < quantity {
			return nil, ErrNotReserved
		}
		return []ProductEvent{StockReleased{order, quantity}}, nil
	}
}

// Ship lets what Reserve kept leave.
func Ship(order string, quantity int64) func(Product) ([]ProductEvent, error) {
	return func(p Product) ([]ProductEvent, error) {
		if p.Reserved < quantity {
			return nil, ErrNotReserved
		}
		return []ProductEvent{StockShipped{order, quantity}}, nil
	}
}
