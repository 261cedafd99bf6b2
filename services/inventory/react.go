package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/reactions"
)

// What inventory reads of the events of orders: those types, with the fields that it needs,
// and nothing else of that service. The stream's id is the order's.
type (
	placed struct {
		Items []Item `json:"items"`
	}
	cancelled struct{}
	shipped   struct{}
)

func (placed) EventType() string    { return "order.placed" }
func (cancelled) EventType() string { return "order.cancelled" }
func (shipped) EventType() string   { return "order.shipped" }

var ofOrders = es.JSON[es.Event](placed{}, cancelled{}, shipped{})

// Reaction follows the orders, each event exactly once.
func (a *App) Reaction() *reactions.Reactor {
	return reactions.New(reactions.Reaction[es.Event]{
		Name: "inventory", Store: a.config.Store, Kafka: a.config.Kafka, TopicPrefix: a.config.TopicPrefix, Log: a.config.Log,
		Topics: []string{"order"}, Codec: ofOrders, React: a.follow,
	})
}

// React runs the reaction until ctx ends, and returns nil then.
func (a *App) React(ctx context.Context) error { return a.Reaction().Run(ctx) }

// follow does what an event of an order asks for, in the transaction that notes it.
func (a *App) follow(ctx context.Context, e es.Event, r es.Recorded, tx *pgstore.Tx) error {
	switch e := e.(type) {
	case placed:
		return a.reserve(ctx, tx, r.Stream.ID, e.Items)
	case cancelled:
		return a.settle(ctx, tx, r.Stream.ID, Cancel, Release)
	case shipped:
		return a.settle(ctx, tx, r.Stream.ID, Fulfil, Ship)
	}
	return nil
}

// errRefused takes back what was reserved before a shortage was met.
var errRefused = errors.New("inventory: the order is refused")

// reserve keeps all items for the order, or none and says which are short. What
// succeeds is inside a savepoint, so that nothing of it stays when one item is short.
//
// Streams are always taken in the same order, the reservation and then the products
// by name, so that two orders wait for each other and do not deadlock.
func (a *App) reserve(ctx context.Context, tx *pgstore.Tx, order string, items []Item) error {
	items = inOrder(items)
	var shortages []Shortage
	err := pgx.BeginFunc(ctx, tx.Tx(), func(savepoint pgx.Tx) error {
		store := a.config.Store.InTx(savepoint)
		fresh := false
		_, err := a.reservations.InTx(store).Decide(ctx, order, func(r Reservation) ([]ReservationEvent, error) {
			events, err := Confirm(items)(r)
			fresh = len(events) > 0
			return events, err
		})
		if err != nil || !fresh { // answered or cancelled before
			return err
		}
		for _, item := range items {
			err := a.onProduct(ctx, store, item.Product, Reserve(order, item.Quantity))
			if short, ok := errors.AsType[*ShortageError](err); ok {
				shortages = append(shortages, Shortage{item.Product, item.Quantity, short.Free})
			} else if err != nil {
				return err
			}
		}
		if len(shortages) > 0 {
			return errRefused
		}
		return nil
	})
	if !errors.Is(err, errRefused) {
		return err
	}
	_, err = a.reservations.InTx(tx).Decide(ctx, order, Reject(shortages))
	return err
}

// settle ends a reservation, and lets each of its items go the same way.
func (a *App) settle(ctx context.Context, tx *pgstore.Tx, order string, end func(Reservation) ([]ReservationEvent, error),
	each func(order string, quantity int64) func(Product) ([]ProductEvent, error),
) error {
	kept := []Item{}
	_, err := a.reservations.InTx(tx).Decide(ctx, order, func(r Reservation) ([]ReservationEvent, error) {
		if r.Status == StatusConfirmed {
			kept = inOrder(r.Items)
		}
		return end(r)
	})
	if err != nil {
		return err
	}
	for _, item := range kept {
		if err := a.onProduct(ctx, tx, item.Product, each(order, item.Quantity)); err != nil {
			return fmt.Errorf("inventory: settle order %s, product %s: %w", order, item.Product, err)
		}
	}
	return nil
}

// attempts bounds how often a product is decided on before the whole transaction runs
// again.
const attempts = 20

// onProduct decides on a product inside of the transaction. Whoever was faster has
// committed by the time that the conflict is known, so the next attempt sees what it
// did; what was decided on other products does not depend on this one, and stays.
func (a *App) onProduct(ctx context.Context, tx es.Store, product string, decide func(Product) ([]ProductEvent, error)) error {
	for attempt := 1; ; attempt++ {
		_, err := a.products.InTx(tx).Decide(ctx, product, decide)
		if !errors.Is(err, es.ErrConflict) || errors.Is(err, es.ErrRetry) || attempt == attempts {
			return err
		}
	}
}

// inOrder adds up the items of each product and sorts them.
func inOrder(items []Item) []Item {
	sum := map[string]int64{}
	for _, item := range items {
		sum[item.Product] += item.Quantity
	}
	sorted := make([]Item, 0, len(sum))
	for product, quantity := range sum {
		sorted = append(sorted, Item{product, quantity})
	}
	slices.SortFunc(sorted, func(a, b Item) int { return cmp.Compare(a.Product, b.Product) })
	return sorted
}
