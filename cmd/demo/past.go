package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/services/orders"
)

// past looks back: at an order by the command, at a read model by SQL.
func (s *scenario) past(ctx context.Context, events []es.RecordedEvent) {
	id, history := s.shippedOrder(events)
	s.check("an order's history is readable", s.history(id, len(history)), "order %s", id)
	for _, version := range []int{1, len(history) - 1} {
		at := history[version-1].RecordedAt
		s.check(fmt.Sprintf("order as of %s", at.Format(time.RFC3339Nano)), s.stateAt(ctx, id, at, history), "version %d", version)
	}
	for _, share := range []int{3, 2} {
		at := es.AtPosition(events[len(events)/share].Position)
		rows := 0
		err := projections.New(s.ordersDB.store, orders.Customers).AsOf(ctx, at, func(ctx context.Context, tx pgx.Tx) error {
			prefix, err := foldOrders(ctx, events[:len(events)/share+1])
			if err != nil {
				return err
			}
			rows = len(prefix.customers)
			return equalsFold(ctx, tx, "customers", customerKey, prefix.customers)
		})
		s.check("read model customers as of "+at.String()+" equals the fold up to there", err, "%d rows", rows)
	}
}

// shippedOrder is the first order that has come to a good end.
func (s *scenario) shippedOrder(events []es.RecordedEvent) (id string, history []es.RecordedEvent) {
	for _, e := range events {
		if e.Type == "order.shipped" {
			id = e.Stream.ID
			break
		}
	}
	for _, e := range events {
		if e.Stream.ID == id {
			history = append(history, e)
		}
	}
	return id, history
}

func (s *scenario) history(id string, want int) error {
	out, _, err := once(s.orders.environment, s.orders.program, "log", "order", id)
	if err != nil {
		return err
	}
	fmt.Printf("\n  $ %s log order %s\n", filepath.Base(s.orders.program), id)
	for line := range strings.Lines(string(out)) {
		fmt.Printf("    %s", line)
	}
	fmt.Println()
	if n := strings.Count(string(out), "order."); n != want {
		return fmt.Errorf("%d events are shown, the log has %d", n, want)
	}
	return nil
}

// stateAt asks the command for the order as of a moment and compares it with a fold.
func (s *scenario) stateAt(ctx context.Context, id string, at time.Time, history []es.RecordedEvent) error {
	out, _, err := once(s.orders.environment, s.orders.program, "state", "order", id, "--at", at.Format(time.RFC3339Nano), "--output", "json")
	if err != nil {
		return err
	}
	var got struct {
		Version es.Version `json:"version"`
		State   struct {
			Status string `json:"status"`
		} `json:"state"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		return err
	}
	var prefix []es.RecordedEvent
	for _, e := range history {
		if !e.RecordedAt.After(at) {
			prefix = append(prefix, e)
		}
	}
	folded, err := foldOrders(ctx, prefix)
	if err != nil {
		return err
	}
	if want := folded.orders[id].status; got.State.Status != want || int(got.Version) != len(prefix) {
		return fmt.Errorf("the command says %s at version %d, the log %s at version %d", got.State.Status, got.Version, want, len(prefix))
	}
	return nil
}
