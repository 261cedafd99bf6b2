package services_test

import (
	"encoding/json"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/services/internal/webtest"
	"github.com/asof-dev/asof/services/orders"
)

type object map[string]any

// shopper is one customer with one order, and requests that compete for it.
type shopper struct {
	w   *world
	api webtest.Client
	n   int

	order placed
}

// placed is what the service says of a new order.
type placed struct {
	ID         string `json:"id"`
	TotalCents int64  `json:"total_cents"`
}

func (w *world) shopper(n int) *shopper {
	return &shopper{w: w, n: n, api: w.orders.api.With("X-Correlation-ID", fmt.Sprintf("c-%d", n)).With("Idempotency-Key", fmt.Sprintf("k-%d", n))}
}

func products() []string { return []string{"cup", "jug", "mug", "pan", "pot", "tea"} }

// items are one to three products, a few of each.
func (s *shopper) items() []orders.Item {
	var list []orders.Item
	for i := range 1 + s.n%3 {
		list = append(list, orders.Item{Product: products()[(s.n*5+i*(1+s.n%2))%6], Quantity: int64(1 + (s.n+i)%4), PriceCents: 1_00})
	}
	return list
}

// shop places the order, twice at once, and goes on as its number says.
func (s *shopper) shop() error {
	var first, second placed
	if err := s.together(s.place(&first), s.place(&second)); err != nil {
		return err
	}
	if first != second {
		return fmt.Errorf("one request made two orders: %+v, %+v", first, second)
	}
	s.order = first
	if s.n%5 == 0 { // before, while or after inventory answers
		return s.together(s.cancel, s.cancel)
	}
	status, err := s.answered()
	if err != nil || status != orders.StatusReserved {
		return err
	}
	switch s.n % 5 {
	case 1:
		return nil
	case 2:
		return s.inTurn(func() error { return s.together(s.pay(1), s.pay(2), s.pay(1)) }, func() error { return s.together(s.ship, s.cancel) })
	case 3:
		return s.inTurn(s.pay(1), func() error { return s.together(s.ship, s.ship, s.pay(1)) })
	default:
		return s.together(s.pay(1), s.cancel, s.ship)
	}
}

func (s *shopper) together(requests ...func() error) error {
	var group errgroup.Group
	for _, request := range requests {
		group.Go(request)
	}
	return group.Wait()
}

func (s *shopper) inTurn(requests ...func() error) error {
	for _, request := range requests {
		if err := request(); err != nil {
			return err
		}
	}
	return nil
}

func (s *shopper) place(order *placed) func() error {
	body := object{"customer": fmt.Sprintf("customer-%d", s.n%7), "items": s.items()}
	return func() error {
		answer, err := s.send("/orders", body, 200, 201)
		if err != nil {
			return err
		}
		return json.Unmarshal(answer.Body, order)
	}
}

func (s *shopper) pay(reference int) func() error {
	body := object{"reference": fmt.Sprintf("p-%d-%d", s.n, reference), "cents": s.order.TotalCents}
	return func() error { return s.command("pay", body) }
}

func (s *shopper) ship() error {
	return s.command("ship", object{"tracking": fmt.Sprintf("t-%d", s.n)})
}

func (s *shopper) cancel() error {
	return s.command("cancel", object{"reason": "changed my mind"})
}

// send sends a request; the answer must have one of the statuses.
func (s *shopper) send(path string, body any, statuses ...int) (webtest.Answer, error) {
	answer, err := s.api.Do(s.w, "POST", path, body)
	if err == nil && !slices.Contains(statuses, answer.Status) {
		err = fmt.Errorf("%s: %d: %s", path, answer.Status, answer.Body)
	}
	return answer, err
}

// command sends a request that the order's state may refuse.
func (s *shopper) command(name string, body any) error {
	_, err := s.send("/orders/"+s.order.ID+"/"+name, body, 200, 409)
	return err
}

// answered waits for inventory.
func (s *shopper) answered() (status orders.Status, err error) {
	never := poll(s.w.Context(), func() bool {
		var order struct {
			Status orders.Status `json:"status"`
		}
		var answer webtest.Answer
		if answer, err = s.api.Do(s.w, "GET", "/orders/"+s.order.ID, nil); err == nil && answer.Status == 200 {
			err = json.Unmarshal(answer.Body, &order)
		}
		status = order.Status
		return err != nil || status != orders.StatusPlaced
	})
	if never != nil {
		err = fmt.Errorf("inventory never answered for order %s", s.order.ID)
	}
	return status, err
}
