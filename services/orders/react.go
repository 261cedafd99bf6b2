package orders

import (
	"context"
	"fmt"
	"strings"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/reactions"
)

// What orders reads of inventory's events: those types, with the fields that it needs, and
// nothing else of that service. The stream's id is the order's.
type (
	confirmed struct{}
	rejected  struct {
		Shortages []struct {
			Product string `json:"product"`
			Wanted  int64  `json:"wanted"`
			Free    int64  `json:"free"`
		} `json:"shortages"`
	}
)

func (confirmed) EventType() string { return "reservation.confirmed" }
func (rejected) EventType() string  { return "reservation.rejected" }

func (r rejected) String() string {
	short := make([]string, len(r.Shortages))
	for i, s := range r.Shortages {
		short[i] = fmt.Sprintf("%s: %d wanted, %d free", s.Product, s.Wanted, s.Free)
	}
	return "not in stock: " + strings.Join(short, "; ")
}

var answers = es.JSON[es.Event](confirmed{}, rejected{})

// Reaction takes inventory's answers, each exactly once.
func (a *App) Reaction() *reactions.Reactor {
	return reactions.New(reactions.Reaction[es.Event]{
		Name: "orders", Store: a.config.Store, Kafka: a.config.Kafka, TopicPrefix: a.config.TopicPrefix, Log: a.config.Log,
		Topics: []string{"reservation"}, Codec: answers, React: a.answered,
	})
}

// React runs the reaction until ctx ends, and returns nil then.
func (a *App) React(ctx context.Context) error { return a.Reaction().Run(ctx) }

// answered decides on the order that inventory answered for.
func (a *App) answered(ctx context.Context, answer es.Event, r es.Recorded, tx *pgstore.Tx) error {
	decide := Reserve
	if no, ok := answer.(rejected); ok {
		decide = Reject(no.String())
	}
	_, err := a.orders.InTx(tx).Decide(ctx, r.Stream.ID, decide)
	return err
}
