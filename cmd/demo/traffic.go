package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/services/orders"
)

const (
	products  = 24
	customers = 60
	stock     = 300 // pieces of a product, for 3000 orders; some will be short
)

// placed is an order and the answers that the clients got about it. What was answered
// with success must be in the log for ever.
type placed struct {
	id       string
	customer string
	total    int64
	payments []string // references that were accepted
	shipped  []string // tracking numbers that were accepted
	cancels  int      // that were accepted
	refused  int      // commands that came too late
	rejected bool
}

// traffic drives orders through the HTTP API.
type traffic struct {
	orders    *api
	inventory *api
	total     int
	clients   int
	finished  atomic.Int64

	mu   sync.Mutex
	list []*placed
}

// stockUp has deliveries come in.
func (t *traffic) stockUp(ctx context.Context) error {
	for i := range products {
		path := fmt.Sprintf("/products/%s/receipts", product(i))
		body := map[string]any{"reference": "delivery-1", "quantity": stock * t.total / 3000}
		for range 2 { // sent again, it is counted once
			if _, err := t.inventory.post(ctx, path, "", body, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func product(i int) string { return fmt.Sprintf("product-%02d", i) }

// run drives all orders to their ends.
func (t *traffic) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	numbers := make(chan int)
	group.Go(func() error {
		defer close(numbers)
		for n := range t.total {
			select {
			case numbers <- n:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for client := range t.clients {
		group.Go(func() error {
			random := rand.New(rand.NewPCG(uint64(client), 7))
			for n := range numbers {
				if err := t.drive(ctx, random, n); err != nil {
					return err
				}
				t.finished.Add(1)
			}
			return nil
		})
	}
	return group.Wait()
}

// drive is the life of one order.
func (t *traffic) drive(ctx context.Context, random *rand.Rand, n int) error {
	o, err := t.place(ctx, random, n)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.list = append(t.list, o)
	t.mu.Unlock()
	if random.IntN(20) == 0 { // the customer is quicker than inventory
		if err := t.compete(ctx, o, t.cancel); err != nil {
			return err
		}
	}
	status, err := t.answered(ctx, o)
	if err != nil || status != orders.StatusReserved {
		o.rejected = status == orders.StatusRejected
		return err
	}
	rivals := []command{t.pay("a"), t.pay("b")}
	if random.IntN(4) == 0 {
		rivals = append(rivals, t.cancel)
	}
	if err := t.compete(ctx, o, rivals...); err != nil || len(o.payments) == 0 || o.cancels > 0 {
		return err
	}
	rivals = []command{t.ship("1"), t.ship("2")}
	if random.IntN(4) == 0 {
		rivals = append(rivals, t.cancel)
	}
	return t.compete(ctx, o, rivals...)
}

// place sends the order, every tenth one three times at once with the same
// idempotency key, as a client does that has lost patience.
func (t *traffic) place(ctx context.Context, random *rand.Rand, n int) (*placed, error) {
	customer := fmt.Sprintf("customer-%02d", random.IntN(customers))
	var items []map[string]any
	first := random.IntN(products)
	for i := range 1 + random.IntN(3) {
		items = append(items, map[string]any{"product": product((first + i) % products), "quantity": 1 + random.IntN(3), "price_cents": 100 * (1 + i)})
	}
	body := map[string]any{"customer": customer, "items": items}
	times := 1
	if n%10 == 0 {
		times = 3
	}
	answers := make([]struct {
		ID         string `json:"id"`
		TotalCents int64  `json:"total_cents"`
	}, times)
	group, ctx := errgroup.WithContext(ctx)
	for i := range answers {
		group.Go(func() error {
			_, err := t.orders.post(ctx, "/orders", fmt.Sprintf("order-%d", n), body, &answers[i])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, a := range answers {
		if a.ID == "" || a != answers[0] {
			return nil, fmt.Errorf("one idempotency key made the orders %q and %q", answers[0].ID, a.ID)
		}
	}
	return &placed{id: answers[0].ID, customer: customer, total: answers[0].TotalCents}, nil
}

// answered waits for inventory's answer.
func (t *traffic) answered(ctx context.Context, o *placed) (orders.Status, error) {
	for pause := (wait.Backoff{First: 10 * time.Millisecond, Last: 250 * time.Millisecond}); ; {
		var now struct {
			Status orders.Status `json:"status"`
		}
		if status, err := t.orders.get(ctx, "/orders/"+o.id, &now); err != nil {
			return "", fmt.Errorf("status %d: %w", status, err)
		}
		if now.Status != orders.StatusPlaced {
			return now.Status, nil
		}
		if err := pause.Wait(ctx); err != nil {
			return "", fmt.Errorf("no answer for order %s: %w", o.id, err)
		}
	}
}

// command is sent for an order and tells what to note when it is accepted.
type command func(ctx context.Context, o *placed) (accepted bool, note func(), err error)

// compete sends commands at once. Some win, some come too late.
func (t *traffic) compete(ctx context.Context, o *placed, commands ...command) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, send := range commands {
		group.Go(func() error {
			accepted, note, err := send(ctx, o)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if accepted {
				note()
			} else {
				o.refused++
			}
			return nil
		})
	}
	return group.Wait()
}

func (t *traffic) send(ctx context.Context, o *placed, what string, body any, note func()) (bool, func(), error) {
	status, err := t.orders.post(ctx, "/orders/"+o.id+"/"+what, "", body, nil)
	if status == http.StatusConflict {
		return false, nil, nil
	}
	return err == nil, note, err
}

func (t *traffic) pay(which string) command {
	return func(ctx context.Context, o *placed) (bool, func(), error) {
		reference := "payment-" + which + "-" + o.id
		return t.send(ctx, o, "pay", map[string]any{"reference": reference, "cents": o.total}, func() { o.payments = append(o.payments, reference) })
	}
}

func (t *traffic) ship(which string) command {
	return func(ctx context.Context, o *placed) (bool, func(), error) {
		tracking := "parcel-" + which + "-" + o.id
		return t.send(ctx, o, "ship", map[string]any{"tracking": tracking}, func() { o.shipped = append(o.shipped, tracking) })
	}
}

func (t *traffic) cancel(ctx context.Context, o *placed) (bool, func(), error) {
	return t.send(ctx, o, "cancel", map[string]any{"reason": "changed my mind"}, func() { o.cancels++ })
}

// summary says in a line what was answered.
func (t *traffic) summary() string {
	var paid, shipped, cancelled, rejected, refused int
	for _, o := range t.list {
		paid += len(o.payments)
		shipped += len(o.shipped)
		cancelled += o.cancels
		refused += o.refused
		if o.rejected {
			rejected++
		}
	}
	return fmt.Sprintf("%d placed, %d rejected by inventory, %d paid, %d shipped, %d cancelled; %d competing commands were refused", len(t.list), rejected, paid, shipped, cancelled, refused)
}

// kept checks that the log has what was answered with success, once.
func (t *traffic) kept(l *orderLog) error {
	for _, o := range t.list {
		now, ok := l.orders[o.id]
		switch {
		case !ok:
			return fmt.Errorf("order %s was accepted and is not in the log", o.id)
		case now.count["order.placed"] != 1 || now.count["order.paid"] != len(o.payments) || now.count["order.shipped"] != len(o.shipped) || now.count["order.cancelled"] != o.cancels:
			return fmt.Errorf("order %s: accepted were %d payments, %d parcels and %d cancellations, the log has %v", o.id, len(o.payments), len(o.shipped), o.cancels, now.count)
		case len(o.payments) > 1 || len(o.shipped) > 1 || o.cancels > 1:
			return fmt.Errorf("order %s: rivals were both accepted: %+v", o.id, o)
		case len(o.payments) == 1 && now.payment != o.payments[0], len(o.shipped) == 1 && now.tracking != o.shipped[0]:
			return fmt.Errorf("order %s: another rival was recorded than the one that was accepted", o.id)
		}
	}
	if len(l.orders) != len(t.list) {
		return errors.New("the log has orders that nobody placed")
	}
	return nil
}
