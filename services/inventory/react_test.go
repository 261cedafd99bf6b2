package inventory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/reactions"
	. "github.com/asof-dev/asof/services/inventory"
)

// hear gives the service an event of an order as a message that comes again does.
func (w world) hear(ctx context.Context, eventType, order string, items ...Item) error {
	data, err := json.Marshal(object{"customer": "ann", "items": items})
	if err != nil {
		return err
	}
	event := es.RecordedEvent{Data: data}
	event.ID, event.Type = uuid.NewSHA1(uuid.Nil, []byte(eventType+order)), eventType
	event.Stream, event.Version = es.StreamID{Category: "order", ID: order}, 1
	app := New(Config{Store: w.store, Log: slog.New(slog.DiscardHandler)})
	return app.Reaction().Deliver(ctx, kafka.FromEvent("/orders", "order", event))
}

func (w world) must(t testing.TB, eventType, order string, items ...Item) {
	t.Helper()
	if err := w.hear(t.Context(), eventType, order, items...); err != nil {
		t.Fatal(err)
	}
}

func (w world) stock(t testing.TB, quantity int64, products ...string) {
	t.Helper()
	for _, product := range products {
		w.Ask(t, 200, "POST", "/products/"+product+"/receipts", object{"reference": "first", "quantity": quantity}, nil)
	}
}

// is checks a product and a reservation.
func (w world) is(t testing.TB, order string, status Status, want map[string]Product) {
	t.Helper()
	var reservation struct{ State Reservation }
	w.Ask(t, 200, "GET", "/reservations/"+order, nil, &reservation)
	if reservation.State.Status != status {
		t.Errorf("reservation of %s is %+v, not %s", order, reservation.State, status)
	}
	for name, product := range want {
		var got struct{ State Product }
		w.Ask(t, 200, "GET", "/products/"+name, nil, &got)
		if got.State != product {
			t.Errorf("%s: %s", name, cmp.Diff(product, got.State))
		}
	}
}

func TestReservation_takes_all_items_or_none(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stock(t, 10, "cup", "pot")
	w.must(t, "order.placed", "o-1", Item{"pot", 4}, Item{"cup", 3}, Item{"pot", 1})
	w.is(t, "o-1", StatusConfirmed, map[string]Product{"cup": {Received: 10, Reserved: 3, Free: 7}, "pot": {Received: 10, Reserved: 5, Free: 5}})

	// The cup is there and would be taken first; the pot and the tea are not.
	w.must(t, "order.placed", "o-2", Item{"pot", 6}, Item{"cup", 7}, Item{"tea", 1})
	w.is(t, "o-2", StatusRejected, map[string]Product{"cup": {Received: 10, Reserved: 3, Free: 7}, "pot": {Received: 10, Reserved: 5, Free: 5}})
	for step, err := range aggregates.New(w.store, ReservationDecider).History(t.Context(), "o-2") {
		want := Rejected{[]Shortage{{"pot", 6, 5}, {"tea", 1, 0}}}
		if err != nil || !cmp.Equal(step.Event, ReservationEvent(want)) {
			t.Errorf("%+v, %v", step.Event, err)
		}
	}
}

// Streams are taken in the order of the products' names, whatever order a customer or
// an older event has them in: two orders wait for each other then, and never deadlock.
func TestProducts_are_taken_in_the_order_of_their_names(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products := []string{"cup", "jug", "pan", "pot", "tea"}
	w.stock(t, 10, products...)
	taken := func(eventType string) string {
		log, err := w.store.Read(t.Context(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range log {
			if e.Type == eventType {
				names = append(names, e.Stream.ID)
			}
		}
		return strings.Join(names, " ")
	}
	items := []Item{{"tea", 1}, {"pan", 1}, {"cup", 1}, {"pot", 1}, {"jug", 1}}
	w.must(t, "order.placed", "o-1", items...)
	confirmed, err := ReservationCodec.Encode(t.Context(), es.StreamID{}, Confirmed{items}) // by a program that did not sort
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Append(t.Context(), es.StreamID{Category: "reservation", ID: "o-2"}, es.NoStream, confirmed); err != nil {
		t.Fatal(err)
	}
	w.must(t, "order.cancelled", "o-2")
	want := strings.Join(products, " ")
	if reserved, released := taken("product.reserved"), taken("product.released"); reserved != want || released != want {
		t.Errorf("reserved %s; released %s; want both as %s", reserved, released, want)
	}
}

func TestReservation_ends_with_the_order(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stock(t, 10, "tea")
	w.must(t, "order.placed", "o-1", Item{"tea", 4})
	w.must(t, "order.shipped", "o-1")
	w.is(t, "o-1", StatusFulfilled, map[string]Product{"tea": {Received: 10, Shipped: 4, Free: 6}})
	w.must(t, "order.cancelled", "o-1") // too late
	w.is(t, "o-1", StatusFulfilled, map[string]Product{"tea": {Received: 10, Shipped: 4, Free: 6}})

	w.must(t, "order.placed", "o-2", Item{"tea", 6})
	w.must(t, "order.cancelled", "o-2")
	w.must(t, "order.cancelled", "o-2") // the same message
	w.is(t, "o-2", StatusReleased, map[string]Product{"tea": {Received: 10, Shipped: 4, Free: 6}})

	w.must(t, "order.cancelled", "o-3") // heard before the order
	w.must(t, "order.placed", "o-3", Item{"tea", 1})
	w.is(t, "o-3", StatusReleased, map[string]Product{"tea": {Received: 10, Shipped: 4, Free: 6}})

	w.must(t, "order.placed", "o-4", Item{"tea", 7})
	w.must(t, "order.cancelled", "o-4")
	w.is(t, "o-4", StatusRejected, map[string]Product{"tea": {Received: 10, Shipped: 4, Free: 6}})
}

// Forty orders want three of five products each, in any order, while others are
// cancelled and shipped: more than there is.
func TestReservation_is_right_when_orders_compete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := []string{"a", "b", "c", "d", "e"}
	w.stock(t, 20, names...)
	const orders = 40
	var group errgroup.Group
	group.SetLimit(8)
	hear := func(eventType, order string, items ...Item) error {
		return w.hear(t.Context(), eventType, order, items...)
	}
	for i := range orders {
		group.Go(func() error {
			order := fmt.Sprintf("o-%d", i)
			items := []Item{{names[(i*3)%5], 1}, {names[(i*3+4)%5], 2}, {names[(i*3+2)%5], 1}}
			if err := hear("order.placed", order, items...); err != nil {
				return err
			}
			switch i % 4 {
			case 0:
				return hear("order.cancelled", order)
			case 1:
				return hear("order.shipped", order)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	kept := map[string]int64{} // by reservations that stand
	left := map[string]int64{}
	for i := range orders {
		state, err := aggregates.New(w.store, ReservationDecider).Load(t.Context(), fmt.Sprintf("o-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range state.Value.Items {
			switch state.Value.Status {
			case StatusConfirmed:
				kept[item.Product] += item.Quantity
			case StatusFulfilled:
				left[item.Product] += item.Quantity
			}
		}
	}
	for _, name := range names {
		for step, err := range aggregates.New(w.store, ProductDecider).History(t.Context(), name) {
			if p := step.State.Value; err != nil || p.Free < 0 || p.Reserved < 0 || p.Received != p.Reserved+p.Shipped+p.Free {
				t.Fatalf("%s version %d: %+v, %v", name, step.State.Version, p, err)
			}
		}
		state, err := aggregates.New(w.store, ProductDecider).Load(t.Context(), name)
		if err != nil || state.Value.Reserved != kept[name] || state.Value.Shipped != left[name] {
			t.Errorf("%s: %+v, but reservations keep %d and %d have left (%v)", name, state.Value, kept[name], left[name], err)
		}
	}
	if parked, err := reactions.ListParked(t.Context(), w.store); err != nil || len(parked) != 0 {
		t.Errorf("parked: %+v, %v", parked, err)
	}
}
