package inventory_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/services/internal/webtest"
	. "github.com/asof-dev/asof/services/inventory"
)

// world is the HTTP API on a database of the test's own, with the read model kept.
type world struct {
	webtest.Client
	store *pgstore.Store
}

func newWorld(t testing.TB) world {
	t.Helper()
	store, quiet := pgstoretest.New(t), slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- projections.New(store, Stock, projections.WithPoll(5*time.Millisecond), projections.WithLogger(quiet)).Run(ctx)
	}()
	server := httptest.NewServer(New(Config{Store: store, Log: quiet}).Handler())
	t.Cleanup(func() {
		server.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return world{webtest.Client{URL: server.URL}, store}
}

type object map[string]any

// product is a product as the API shows it.
type product struct {
	ID         string
	Version    int64
	Position   int64
	RecordedAt string `json:"recorded_at"`
	State      Product
}

func TestAPI_receives_stock_and_shows_it(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var first, second, then product
	w.Ask(t, 200, "POST", "/products/tea/receipts", object{"reference": "r-1", "quantity": 10}, &first)
	w.Ask(t, 200, "POST", "/products/tea/receipts", object{"reference": "r-2", "quantity": 5}, &second)
	if want := (Product{Received: 15, Free: 15}); second.State != want || second.Version != 2 {
		t.Errorf("%+v", second)
	}
	w.Ask(t, 200, "GET", "/products/tea?version=1", nil, &then)
	if !cmp.Equal(first, then) {
		t.Error(cmp.Diff(first, then))
	}
	var row StockRow
	w.Ask(t, 200, "GET", fmt.Sprintf("/stock/tea?wait=%d", second.Position), nil, &row)
	if row.Product != "tea" || row.Received != 15 || row.Free != 15 || row.Version != 2 {
		t.Errorf("%+v", row)
	}
	var list struct{ Stock []StockRow }
	w.Ask(t, 200, "GET", "/stock", nil, &list)
	if len(list.Stock) != 1 || !cmp.Equal(list.Stock[0], row) {
		t.Errorf("%+v", list)
	}
	w.Ask(t, 204, "GET", "/healthz", nil, nil)
}

func TestAPI_counts_a_receipt_once_that_is_sent_again(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var group errgroup.Group
	for i := range 16 { // four receipts, each sent four times at once
		group.Go(func() error {
			a, err := w.Do(t, "POST", "/products/tea/receipts", object{"reference": fmt.Sprintf("r-%d", i%4), "quantity": 10})
			if err == nil && a.Status != 200 {
				err = fmt.Errorf("%d: %s", a.Status, a.Body)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var tea product
	w.Ask(t, 200, "GET", "/products/tea", nil, &tea)
	if tea.State.Received != 40 || tea.Version != 4 {
		t.Errorf("%+v", tea)
	}
	w.Refused(t, 422, "reference-reused", "POST", "/products/tea/receipts", object{"reference": "r-0", "quantity": 11})
	w.Ask(t, 200, "POST", "/products/pot/receipts", object{"reference": "r-0", "quantity": 11}, nil) // another product's
}

// A receipt is a fact: it is written however its client's connection ends, and the
// client is told.
func TestAPI_answers_over_connections_that_are_half_closed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 20 {
		a, err := w.DoHalf(t, "POST", "/products/tea/receipts", object{"reference": fmt.Sprintf("r-%d", i), "quantity": 1})
		if err != nil || a.Status != 200 || !strings.Contains(string(a.Body), fmt.Sprintf(`"received":%d`, i+1)) {
			t.Fatalf("%d: %s, %v", a.Status, a.Body, err)
		}
	}
}

func TestAPI_waits_for_a_position_or_says_that_it_did_not(t *testing.T) {
	t.Parallel()
	store, quiet := pgstoretest.New(t), slog.New(slog.DiscardHandler)
	if err := projections.New(store, Stock, projections.WithLogger(quiet)).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(New(Config{Store: store, Log: quiet}).Handler())
	t.Cleanup(server.Close)
	w := world{webtest.Client{URL: server.URL}, store}
	var tea product
	w.Ask(t, 200, "POST", "/products/tea/receipts", object{"reference": "r-1", "quantity": 10}, &tea)
	for _, path := range []string{"/stock", "/stock/tea"} {
		w.Refused(t, 422, "not-settled", "GET", path+"?wait=99999999", nil)
		w.Refused(t, 503, "read-model-behind", "GET", fmt.Sprintf("%s?wait=%d", path, tea.Position), nil)
	}
}

func TestLists_are_ordered_and_bounded(t *testing.T) {
	t.Parallel()
	store, quiet := pgstoretest.New(t), slog.New(slog.DiscardHandler)
	if err := projections.New(store, Stock, projections.WithLogger(quiet)).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := store.Pool().Exec(t.Context(), `insert into stock.stock select 'p-' || lpad(n::text, 4, '0'), n, 0, 0, n, n, now() from generate_series(1, 150) n`)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(New(Config{Store: store, Log: quiet}).Handler())
	t.Cleanup(server.Close)
	for query, want := range map[string]struct {
		n     int
		first string
	}{"": {100, "p-0001"}, "?limit=2": {2, "p-0001"}, "?limit=1000&after=p-0100": {50, "p-0101"}, "?after=p-0150": {}} {
		var list struct{ Stock []StockRow }
		webtest.Client{URL: server.URL}.Ask(t, 200, "GET", "/stock"+query, nil, &list)
		if len(list.Stock) != want.n || want.n > 0 && list.Stock[0].Product != want.first {
			t.Errorf("/stock%s: %d instead of %d", query, len(list.Stock), want.n)
		}
	}
}

func TestAPI_keeps_correlation_and_trace_with_a_receipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	w.With("X-Correlation-ID", "c-1").With("Traceparent", parent).Ask(t, 200, "POST", "/products/tea/receipts", object{"reference": "r-1", "quantity": 10}, nil)
	list, err := w.store.Read(t.Context(), es.Position(0), 10)
	if err != nil || len(list) != 1 || list[0].Metadata.CorrelationID != "c-1" || list[0].Metadata.TraceParent != parent {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestAPI_refuses_bad_requests_and_writes_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, test := range []struct {
		status int
		code   string
		path   string
		body   any
	}{
		{400, "malformed", "/products/tea/receipts", `{"reference":"r-1","quantity":`},
		{400, "malformed", "/products/tea/receipts", object{"reference": "r-1", "quantity": 1, "price": 2}},
		{413, "too-large", "/products/tea/receipts", object{"reference": strings.Repeat("x", 70_000), "quantity": 1}},
		{422, "invalid", "/products/tea/receipts", object{"reference": "", "quantity": 1}},
		{422, "invalid", "/products/tea/receipts", object{"reference": "a\u0000b", "quantity": 1}},
		{422, "invalid", "/products/tea/receipts", object{"reference": "r-1", "quantity": 0}},
		{422, "invalid", "/products/tea/receipts", object{"reference": "r-1", "quantity": -5}},
		{422, "invalid", "/products/tea/receipts", object{"reference": "r-1", "quantity": MaxQuantity + 1}},
		{422, "invalid", "/products/black%20tea/receipts", object{"reference": "r-1", "quantity": 1}},
	} {
		w.Refused(t, test.status, test.code, "POST", test.path, test.body)
	}
	w.Refused(t, 404, "not-found", "GET", "/products/tea", nil)
	w.Refused(t, 404, "not-found", "GET", "/stock/tea", nil)
	w.Refused(t, 404, "not-found", "GET", "/reservations/o-1", nil)
	w.Refused(t, 400, "query", "GET", "/stock?limit=many", nil)
	w.Refused(t, 400, "invalid", "GET", "/stock/%00", nil)
	if list, err := w.store.Read(t.Context(), es.Position(0), 10); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}
