package mapping_test

import (
	"context"
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/mapping"
)

// Checkout is what the service records: its own shape, which may change.
type Checkout struct {
	Cents    int64  `json:"cents"`
	Customer string `json:"customer"` // nobody else's business
	Coupon   string `json:"coupon,omitempty"`
}

func (Checkout) EventType() string { return "cart.checked_out" }

// What others get: a contract.
type (
	OrderPlaced struct {
		Total string `json:"total"`
	}
	CouponUsed struct {
		Code string `json:"code"`
	}
)

func (OrderPlaced) EventType() string { return "shop.order_placed" }
func (CouponUsed) EventType() string  { return "shop.coupon_used" }

// publicOrders publishes an order, and the coupon apart.
func publicOrders() mapping.Mapping {
	return mapping.Of(mapping.Config[Checkout, es.Event]{
		Name: "order-events-v1", Category: "cart",
		Codec: es.JSON(Checkout{}), Public: es.JSON[es.Event](OrderPlaced{}, CouponUsed{}),
		Map: func(_ context.Context, e Checkout, _ es.Recorded) ([]es.Event, error) {
			list := []es.Event{OrderPlaced{Total: fmt.Sprintf("%d.%02d EUR", e.Cents/100, e.Cents%100)}}
			if e.Coupon != "" {
				list = append(list, CouponUsed{e.Coupon})
			}
			return list, nil
		},
	})
}

func ExampleOf() {
	ctx := context.Background()
	recorded := es.RecordedEvent{
		Recorded: es.Recorded{ID: es.NewID(), Type: "cart.checked_out", Schema: 1, Stream: es.StreamID{Category: "cart", ID: "c-7"}, Version: 3},
		Data:     []byte(`{"cents":1250,"customer":"ann","coupon":"SPRING"}`),
	}
	public, err := publicOrders().Publish(ctx, recorded)
	for _, p := range public {
		fmt.Printf("%s version %d, part %d of %d: %s %s\n", p.Stream, p.Version, p.Part, p.Parts, p.Type, p.Data)
	}
	fmt.Println(err)
	// Output:
	// cart/c-7 version 3, part 1 of 2: shop.order_placed {"total":"12.50 EUR"}
	// cart/c-7 version 3, part 2 of 2: shop.coupon_used {"code":"SPRING"}
	// <nil>
}
