package orders_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/services/internal/webtest"
	. "github.com/asof-dev/asof/services/orders"
)

// world is the HTTP API on a database of the test's own, with the read models kept.
type world struct {
	webtest.Client
	store  *pgstore.Store
	orders *aggregates.Repository[Order, Event]
}

func newWorld(t testing.TB) world {
	t.Helper()
	store := pgstoretest.New(t)
	follow(t, store, Summary)
	follow(t, store, Customers)
	return world{Client: serve(t, store), store: store, orders: aggregates.New(store, Decider)}
}

func serve(t testing.TB, store *pgstore.Store) webtest.Client {
	server := httptest.NewServer(New(Config{Store: store, Log: slog.New(slog.DiscardHandler)}).Handler())
	t.Cleanup(server.Close)
	return webtest.Client{URL: server.URL}
}

// follow keeps a read model until the test ends.
func follow(t testing.TB, store *pgstore.Store, model projections.Definition) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- projections.New(store, model, projections.WithPoll(5*time.Millisecond), projections.WithLogger(slog.New(slog.DiscardHandler))).Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// answer is an order as the API shows it.
type answer struct {
	ID         string
	Version    int64
	Position   int64
	RecordedAt string `json:"recorded_at"`
	Order
}

type object map[string]any

func (w world) place(t testing.TB, customer, key string) answer {
	t.Helper()
	var order answer
	w.With("Idempotency-Key", key).Ask(t, 201, "POST", "/orders", object{"customer": customer, "items": items()}, &order)
	return order
}

func TestAPI_takes_an_order_from_placed_to_shipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order := w.place(t, "ann", "k-1")
	path := "/orders/" + order.ID
	if order.Status != StatusPlaced || order.TotalCents != 30_00 || order.Version != 1 {
		t.Fatalf("%+v", order)
	}
	w.Refused(t, 409, "not-reserved", "POST", path+"/pay", object{"reference": "p-1", "cents": 30_00})
	w.Refused(t, 409, "not-paid", "POST", path+"/ship", object{"tracking": "t-1"})
	if _, err := w.orders.Decide(t.Context(), order.ID, Reserve); err != nil {
		t.Fatal(err)
	}
	w.Refused(t, 422, "wrong-payment", "POST", path+"/pay", object{"reference": "p-1", "cents": 1})
	var paid, again answer
	w.Ask(t, 200, "POST", path+"/pay", object{"reference": "p-1", "cents": 30_00}, &paid)
	w.Ask(t, 200, "POST", path+"/pay", object{"reference": "p-1", "cents": 30_00}, &again)
	if paid.Version != 3 || paid.PaidCents != 30_00 || !cmp.Equal(paid, again) {
		t.Fatalf("%+v\n%+v", paid, again)
	}
	w.Refused(t, 409, "paid", "POST", path+"/pay", object{"reference": "p-2", "cents": 30_00})
	w.Refused(t, 422, "reference-reused", "POST", path+"/pay", object{"reference": "p-1", "cents": 29_99})
	var shipped answer
	w.Ask(t, 200, "POST", path+"/ship", object{"tracking": "t-1"}, &shipped)
	w.Ask(t, 200, "POST", path+"/ship", object{"tracking": "t-1"}, &again)
	if shipped.Status != StatusShipped || shipped.Version != 4 || !cmp.Equal(shipped, again) {
		t.Fatalf("%+v\n%+v", shipped, again)
	}
	w.Refused(t, 409, "shipped", "POST", path+"/ship", object{"tracking": "t-2"})
	w.Refused(t, 409, "shipped", "POST", path+"/cancel", object{"reason": "late"})
	w.Ask(t, 200, "GET", path, nil, &again)
	if !cmp.Equal(shipped, again) {
		t.Fatal(cmp.Diff(shipped, again))
	}
}

func TestAPI_shows_what_an_order_was(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	placed := w.place(t, "ann", "k-1")
	path := "/orders/" + placed.ID
	var cancelled, then answer
	w.Ask(t, 200, "POST", path+"/cancel", object{"reason": "late"}, &cancelled)
	w.Ask(t, 200, "POST", path+"/cancel", object{"reason": "late"}, nil)
	w.Refused(t, 409, "cancelled", "POST", path+"/cancel", object{"reason": "too dear"})
	for _, moment := range []string{"version=1", fmt.Sprintf("position=%d", placed.Position), "at=" + placed.RecordedAt} {
		w.Ask(t, 200, "GET", path+"?"+moment, nil, &then)
		if placed.RecordedAt != cancelled.RecordedAt && !cmp.Equal(placed, then) {
			t.Errorf("%s: %s", moment, cmp.Diff(placed, then))
		}
	}
	w.Refused(t, 404, "not-found", "GET", path+"?at=2001-01-01T00:00:00Z", nil)
	w.Refused(t, 422, "not-settled", "GET", path+"?at=2999-01-01T00:00:00Z", nil)
	w.Refused(t, 422, "not-settled", "GET", path+"?version=3", nil)
	w.Refused(t, 404, "not-found", "GET", "/orders/nobody", nil)
	w.Refused(t, 404, "not-found", "GET", "/orders/nobody/history", nil)

	var history struct {
		Events []struct {
			Version int64
			Type    string
			Status  Status
			Event   json.RawMessage
		}
	}
	w.Ask(t, 200, "GET", path+"/history", nil, &history)
	if len(history.Events) != 2 || history.Events[0].Type != "order.placed" || history.Events[1].Status != StatusCancelled ||
		string(history.Events[1].Event) != `{"customer":"ann","reason":"late","refund_cents":0}` {
		t.Errorf("%+v", history)
	}
}

func TestAPI_reads_what_it_has_written(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := w.place(t, "ann", "k-1"), w.place(t, "ann", "k-2")
	w.place(t, "bob", "k-1") // bob's key is not ann's
	var cancelled answer
	w.Ask(t, 200, "POST", "/orders/"+second.ID+"/cancel", object{"reason": "late"}, &cancelled)

	var list struct{ Orders []SummaryRow }
	w.Ask(t, 200, "GET", fmt.Sprintf("/orders?customer=ann&status=cancelled&wait=%d", cancelled.Position), nil, &list)
	if len(list.Orders) != 1 || list.Orders[0].Order != second.ID || list.Orders[0].Version != 2 || list.Orders[0].Pieces != 3 {
		t.Errorf("%+v", list)
	}
	var seen []string
	for after := ""; ; after = seen[len(seen)-1] { // page by page
		w.Ask(t, 200, "GET", "/orders?limit=1&after="+after, nil, &list)
		if len(list.Orders) == 0 {
			break
		}
		seen = append(seen, list.Orders[0].Order)
	}
	if len(seen) != 3 || !strings.Contains(strings.Join(seen, " "), first.ID) {
		t.Errorf("%v", seen)
	}
	var ann CustomerRow
	w.Ask(t, 200, "GET", fmt.Sprintf("/customers/ann?wait=%d", cancelled.Position), nil, &ann)
	want := CustomerRow{Customer: "ann", Orders: 2, Open: 1, Cancelled: 1, OrderedCents: 60_00, LastOrderAt: ann.LastOrderAt}
	if !cmp.Equal(want, ann) || ann.LastOrderAt.IsZero() {
		t.Error(cmp.Diff(want, ann))
	}
	var customers struct{ Customers []CustomerRow }
	w.Ask(t, 200, "GET", "/customers?after=ann", nil, &customers)
	if len(customers.Customers) != 1 || customers.Customers[0].Customer != "bob" {
		t.Errorf("%+v", customers)
	}
	w.Refused(t, 404, "not-found", "GET", "/customers/nobody", nil)
	w.Ask(t, 204, "GET", "/healthz", nil, nil)
}

func TestAPI_makes_one_order_of_a_request_that_is_sent_again(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var created atomic.Int64
	var group errgroup.Group
	for range 16 {
		group.Go(func() error {
			a, err := w.With("Idempotency-Key", "k-1").Do(t, "POST", "/orders", object{"customer": "ann", "items": items()})
			if err == nil && a.Status == 201 {
				created.Add(1)
			} else if err == nil && a.Status != 200 {
				err = fmt.Errorf("%d: %s", a.Status, a.Body)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil || created.Load() != 1 {
		t.Fatalf("%d orders were created, %v", created.Load(), err)
	}
	if n := w.events(t); n != 1 {
		t.Fatalf("%d events", n)
	}
	w.With("Idempotency-Key", "k-1").Refused(t, 422, "idempotency-key-reused", "POST", "/orders", object{"customer": "ann", "items": items()[:1]})
	w.With("Idempotency-Key", "é").Refused(t, 400, "idempotency-key", "POST", "/orders", object{"customer": "ann", "items": items()})
}

func TestAPI_lets_one_of_many_payments_through(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order := w.place(t, "ann", "k-1")
	if _, err := w.orders.Decide(t.Context(), order.ID, Reserve); err != nil {
		t.Fatal(err)
	}
	var paid atomic.Int64
	var group errgroup.Group
	for i := range 16 {
		group.Go(func() error {
			a, err := w.Do(t, "POST", "/orders/"+order.ID+"/pay", object{"reference": fmt.Sprintf("p-%d", i), "cents": 30_00})
			if err == nil && a.Status == 200 {
				paid.Add(1)
			} else if err == nil && a.Status != 409 {
				err = fmt.Errorf("%d: %s", a.Status, a.Body)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil || paid.Load() != 1 {
		t.Fatalf("%d payments went through, %v", paid.Load(), err)
	}
}

func TestAPI_keeps_correlation_and_trace_with_the_events(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	w.Client = w.With("X-Correlation-ID", "c-1").With("Traceparent", parent)
	order := w.place(t, "ann", "k-1")
	for step, err := range w.orders.History(t.Context(), order.ID) {
		if m := step.Recorded.Metadata; err != nil || m.CorrelationID != "c-1" || m.TraceParent != parent {
			t.Errorf("%+v, %v", m, err)
		}
	}
}

// Who sends the whole request, ends its side of the connection and reads on is
// answered like all others.
func TestAPI_answers_over_connections_that_are_half_closed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var group errgroup.Group
	group.SetLimit(4)
	for i := range 20 {
		group.Go(func() error {
			a, err := w.With("Idempotency-Key", fmt.Sprintf("k-%d", i)).DoHalf(t, "POST", "/orders", object{"customer": "ann", "items": items()})
			var order answer
			if err == nil {
				err = json.Unmarshal(a.Body, &order)
			}
			if err == nil && (a.Status != 201 || order.ID == "") {
				err = fmt.Errorf("%d: %s", a.Status, a.Body)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := w.events(t); n != 20 {
		t.Errorf("%d events of 20", n)
	}
	if a, err := w.DoHalf(t, "GET", "/orders?limit=1", nil); err != nil || a.Status != 200 || len(a.Body) == 0 {
		t.Errorf("%d %s, %v", a.Status, a.Body, err)
	}
}

// No answer says that a position was waited for which the read model does not have,
// as its projector does not run, or which the log does not have.
func TestAPI_waits_for_a_position_or_says_that_it_did_not(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t)
	for _, model := range []projections.Definition{Summary, Customers} {
		if err := projections.New(store, model).Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w := world{Client: serve(t, store), store: store}
	var order answer
	var list struct{ Orders []SummaryRow }
	w.Refused(t, 422, "not-settled", "GET", "/orders?wait=1", nil)
	w.Ask(t, 201, "POST", "/orders", object{"customer": "ann", "items": items()}, &order)
	w.Ask(t, 200, "GET", "/orders", nil, &list)
	var group errgroup.Group
	for _, path := range []string{"/orders", "/customers", "/customers/ann"} {
		w.Refused(t, 422, "not-settled", "GET", path+"?wait=99999999", nil)
		w.Refused(t, 422, "not-settled", "GET", fmt.Sprintf("%s?wait=%d", path, order.Position+1), nil)
		group.Go(func() error { // each waits for a while
			a, err := w.Do(t, "GET", fmt.Sprintf("%s?wait=%d", path, order.Position), nil)
			if err == nil && (a.Status != 503 || !strings.Contains(string(a.Body), "read-model-behind")) {
				err = fmt.Errorf("%s: %d %s", path, a.Status, a.Body)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	follow(t, store, Summary)
	w.Ask(t, 200, "GET", fmt.Sprintf("/orders?wait=%d", order.Position), nil, &list)
	if len(list.Orders) != 1 {
		t.Errorf("%+v", list)
	}
}

func TestLists_are_filtered_ordered_and_bounded(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t)
	for _, model := range []projections.Definition{Summary, Customers} {
		if err := projections.New(store, model).Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, sql := range []string{
		`insert into summary.summary select 'o-' || lpad(n::text, 4, '0'), (array['ann', 'bob'])[1 + n % 2], (array['placed', 'paid', 'shipped'])[1 + n % 3], n, n, n, n, now(), now() from generate_series(1, 150) n`,
		`insert into customers.customers select 'c-' || lpad(n::text, 4, '0'), 1, 0, 0, 0, 0, 0, 0, now() from generate_series(1, 150) n`,
	} {
		if _, err := store.Pool().Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	c := serve(t, store)
	for query, want := range map[string]struct {
		n           int
		first, last string
	}{
		"":                          {100, "o-0001", "o-0100"},
		"?limit=1000":               {150, "o-0001", "o-0150"},
		"?limit=2&after=o-0007":     {2, "o-0008", "o-0009"},
		"?customer=bob":             {75, "o-0001", "o-0149"},
		"?status=shipped":           {50, "o-0002", "o-0149"},
		"?customer=ann&status=paid": {25, "o-0004", "o-0148"},
		"?customer=eve":             {},
	} {
		var list struct{ Orders []SummaryRow }
		c.Ask(t, 200, "GET", "/orders"+query, nil, &list)
		if len(list.Orders) != want.n || want.n > 0 && (list.Orders[0].Order != want.first || list.Orders[want.n-1].Order != want.last) {
			t.Errorf("/orders%s: %d orders instead of %d, %+v", query, len(list.Orders), want.n, list.Orders[:min(1, len(list.Orders))])
		}
	}
	for query, want := range map[string]int{"": 100, "?limit=7": 7, "?after=c-0149": 1, "?limit=1000": 150} {
		var list struct{ Customers []CustomerRow }
		c.Ask(t, 200, "GET", "/customers"+query, nil, &list)
		if len(list.Customers) != want {
			t.Errorf("/customers%s: %d instead of %d", query, len(list.Customers), want)
		}
	}
}

// From Kafka the events of two orders come in any order.
func TestCustomers_keep_the_latest_order(t *testing.T) {
	t.Parallel()
	var row CustomerRow
	late, early := time.Unix(2, 0), time.Unix(1, 0)
	for _, at := range []time.Time{early, late, early} {
		Customers.Apply(&row, Placed{Customer: "ann", Items: items()}, es.Recorded{RecordedAt: at})
	}
	if !row.LastOrderAt.Equal(late) || row.Orders != 3 {
		t.Errorf("%+v", row)
	}
}

// events counts what is in the log.
func (w world) events(t testing.TB) int {
	t.Helper()
	list, err := w.store.Read(t.Context(), es.Position(0), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// An append that stays open may belong to the moment. Whoever asks is told after a
// while, and does not wait as long as it does.
func TestAPI_as_of_a_moment_that_is_not_final(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	placed := w.place(t, "ann", "k-1")
	tx, err := w.store.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	if _, err := aggregates.New(w.store, Decider).InTx(w.store.InTx(tx)).Decide(t.Context(), "o-2", Place("ann", items())); err != nil {
		t.Fatal(err)
	}
	w.Refused(t, 503, "not-final", "GET", "/orders/"+placed.ID+"?at="+placed.RecordedAt, nil)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Ask(t, 200, "GET", "/orders/"+placed.ID+"?at="+placed.RecordedAt, nil, nil)
}
