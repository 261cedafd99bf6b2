package orders

import (
	"errors"
	"fmt"

	"github.com/asof-dev/asof/services/internal/check"
)

// Item is a product, how many of it, and the price of one.
type Item struct {
	Product    string `json:"product"`
	Quantity   int64  `json:"quantity"`
	PriceCents int64  `json:"price_cents"`
}

// Limits of an order. With them no sum overflows.
const (
	MaxItems      = 50
	MaxQuantity   = 1_000_000     // of an item
	MaxPriceCents = 1_000_000_000 // of one piece
	MaxText       = check.MaxText // bytes of a reason, a reference or a tracking number
)

// ErrInvalid: the request is not one that any order could accept. The text says
// what is allowed.
var ErrInvalid = errors.New("orders: invalid")

// checkPlacement refuses what no order could be.
func checkPlacement(customer string, items []Item) error {
	if err := checkName("customer", customer); err != nil {
		return err
	}
	if len(items) == 0 || len(items) > MaxItems {
		return fmt.Errorf("%w: %d items: order 1 to %d", ErrInvalid, len(items), MaxItems)
	}
	seen := make(map[string]bool, len(items))
	for i, item := range items {
		if err := checkName(fmt.Sprintf("product of item %d", i+1), item.Product); err != nil {
			return err
		}
		switch {
		case seen[item.Product]:
			return fmt.Errorf("%w: product %s stands in two items: add up their quantities", ErrInvalid, item.Product)
		case item.Quantity < 1 || item.Quantity > MaxQuantity:
			return fmt.Errorf("%w: quantity of %s is %d: order 1 to %d", ErrInvalid, item.Product, item.Quantity, MaxQuantity)
		case item.PriceCents < 0 || item.PriceCents > MaxPriceCents:
			return fmt.Errorf("%w: price_cents of %s is %d: give 0 to %d", ErrInvalid, item.Product, item.PriceCents, MaxPriceCents)
		}
		seen[item.Product] = true
	}
	return nil
}

func checkName(what, name string) error { return invalid(check.Name(what, name)) }

func checkText(what, text string) error { return invalid(check.Text(what, text)) }

func invalid(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

func total(items []Item) (cents int64) {
	for _, item := range items {
		cents += item.Quantity * item.PriceCents
	}
	return cents
}
