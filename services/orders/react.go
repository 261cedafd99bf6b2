package orders

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/services/internal/reaction"
)

// What orders reads of inventory's events: it knows their types and the fields that
// it needs, and nothing else of that service. The stream's id is the order's.
const (
	inventoryTopic       = "reservation"
	reservationConfirmed = "reservation.confirmed"
	reservationRejected  = "reservation.rejected"
)

type rejection struct {
	Shortages []struct {
		Product string `json:"product"`
		Wanted  int64  `json:"wanted"`
		Free    int64  `json:"free"`
	} `json:"shortages"`
}

func (r rejection) String() string {
	short := make([]string, len(r.Shortages))
	for i, s := range r.Shortages {
		short[i] = fmt.Sprintf("%s: %d wanted, %d free", s.Product, s.Wanted, s.Free)
	}
	return "not in stock: " + strings.Join(short, "; ")
}

// React takes inventory's answers until ctx ends, each exactly once, and returns nil
// then.
func (a *App) React(ctx context.Context) error {
	answers := inbox.New(a.config.Store, "orders", inbox.WithLogger(a.config.Log), inbox.WithTypes(reservationConfirmed, reservationRejected))
	return reaction.Run(ctx, reaction.Config{
		Client: a.config.Kafka, TopicPrefix: a.config.TopicPrefix, Log: a.config.Log,
		Group: "orders", Topic: inventoryTopic, Inbox: answers, React: a.answered,
	})
}

// answered decides on the order that inventory answered for.
func (a *App) answered(ctx context.Context, e es.RecordedEvent, tx *pgstore.Tx) error {
	decide := Reserve
	if e.Type == reservationRejected {
		var why rejection
		if err := json.Unmarshal(e.Data, &why); err != nil {
			return fmt.Errorf("orders: read %s of %s: %w", e.Type, e.Stream, err)
		}
		decide = Reject(why.String())
	}
	_, err := a.orders.InTx(tx).Decide(ctx, e.Stream.ID, decide)
	return err
}
