package projections_test

import (
	"errors"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

func TestKafka_is_refused_for_rows_that_need_the_order_of_the_log(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.append("a-1", Opened{Owner: "ann"})
	last := c.totals()
	last.Order = projections.LogOrder
	statements := moves()
	statements.Categories = []string{c.category}
	for _, def := range []projections.Definition{last, statements} {
		err := c.projector(def).Run(within(t, 20*time.Second))
		if !errors.Is(err, projections.ErrInvalid) || !contains(err, "OneStream or Commuting") {
			t.Errorf("%v", err)
		}
	}
	if n := c.number(`select count(*) from asof.builds`); n != 0 {
		t.Errorf("%d builds were begun", n)
	}
}

func TestOrder_of_one_stream_is_held_to(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1})
	w.append("b-1", Opened{Owner: "ben"})
	def := balances()
	def.Order = projections.OneStream
	if err := projections.New(w.store, def).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	def.Name, def.Key = "others", func(Event, es.Recorded) string { return "all" }
	var event *projections.EventError
	err := projections.New(w.store, def).Rebuild(t.Context())
	if !errors.Is(err, projections.ErrInvalid) || !errors.As(err, &event) || event.Event.Position != 3 {
		t.Errorf("%v", err)
	}
	def.Order = 7
	if err := projections.New(w.store, def).Rebuild(t.Context()); !errors.Is(err, projections.ErrInvalid) || !contains(err, "Order(7)") {
		t.Errorf("%v", err)
	}
}

// Whoever may write to the topic brings what he likes under the ids of the log's events:
// it is not applied, and the right message behind it is no duplicate.
func TestKafka_payloads_are_held_against_the_log(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		p := c.projector(c.balances(), projections.WithLogCheck(never))
		start(t, p)
		c.untilReading(p)
		c.append("a-1", Opened{Owner: "ann"})
		c.publish(c.history()...)
		c.untilRead(p)
		for n, forge := range []func(e *es.RecordedEvent){
			func(e *es.RecordedEvent) { e.Data = []byte(`{"Cents":5000000}`) },
			func(e *es.RecordedEvent) { e.Type = "account.withdrawn" },
			func(e *es.RecordedEvent) { e.Schema = 7 },
			func(e *es.RecordedEvent) { e.ContentType = "text/plain" },
			func(e *es.RecordedEvent) { e.RecordedAt = e.RecordedAt.Add(time.Hour) },
			func(e *es.RecordedEvent) { e.Metadata.CorrelationID = "forged" },
		} {
			last := c.append("a-1", Deposited{Cents: 5})
			history := c.history()
			right := history[len(history)-1]
			forged := right
			forge(&forged)
			c.publish(forged, right)
			c.wait(p, last)
			c.untilRead(p)
			c.wantBalances("balances.balances")
			if s := c.status(p); s.Foreign != int64(n+1) {
				t.Errorf("forgery %d: %d messages were found not to be the log's", n+1, s.Foreign)
			}
		}
	})
}
