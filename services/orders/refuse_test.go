package orders_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/services/internal/webtest"
	. "github.com/asof-dev/asof/services/orders"
)

func TestAPI_refuses_bad_requests_and_writes_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := func(change func(*Item)) object {
		item := Item{Product: "tea", Quantity: 1, PriceCents: 5_00}
		change(&item)
		return object{"customer": "ann", "items": []Item{item}}
	}
	for _, test := range []struct {
		status int
		code   string
		path   string
		body   any
	}{
		{400, "malformed", "/orders", `{`},
		{400, "malformed", "/orders", object{"customer": "ann", "items": items(), "discount": 5}},
		{400, "malformed", "/orders", `{"customer":"ann","items":[{"product":"tea","quantity":"two"}]}`},
		{413, "too-large", "/orders", object{"customer": strings.Repeat("x", 70_000), "items": items()}},
		{422, "invalid", "/orders", `null`},
		{422, "invalid", "/orders", object{"customer": "", "items": items()}},
		{422, "invalid", "/orders", object{"customer": "ann & bob", "items": items()}},
		{422, "invalid", "/orders", object{"customer": strings.Repeat("x", 65), "items": items()}},
		{422, "invalid", "/orders", object{"customer": "ann", "items": []Item{}}},
		{422, "invalid", "/orders", object{"customer": "ann", "items": append(items(), items()...)}},
		{422, "invalid", "/orders", object{"customer": "ann", "items": make([]Item, MaxItems+1)}},
		{422, "invalid", "/orders", one(func(i *Item) { i.Product = "../tea" })},
		{422, "invalid", "/orders", one(func(i *Item) { i.Quantity = 0 })},
		{422, "invalid", "/orders", one(func(i *Item) { i.Quantity = -1 })},
		{422, "invalid", "/orders", one(func(i *Item) { i.Quantity = MaxQuantity + 1 })},
		{422, "invalid", "/orders", one(func(i *Item) { i.PriceCents = -1 })},
		{422, "invalid", "/orders", one(func(i *Item) { i.PriceCents = MaxPriceCents + 1 })},
		{404, "not-found", "/orders/nobody/pay", object{"reference": "p-1", "cents": 1}},
		{404, "not-found", "/orders/nobody/ship", object{"tracking": "t-1"}},
		{404, "not-found", "/orders/nobody/cancel", object{"reason": "late"}},
		{422, "invalid", "/orders/nobody/pay", object{"reference": "", "cents": 1}},
		{422, "invalid", "/orders/nobody/ship", object{"tracking": strings.Repeat("x", 201)}},
		{422, "invalid", "/orders/nobody/cancel", object{"reason": "a\u0000b"}},
		{400, "invalid", "/orders/" + strings.Repeat("x", 300) + "/cancel", object{"reason": "late"}},
		{400, "invalid", "/orders/a%00b/cancel", object{"reason": "late"}},
		{400, "invalid", "/orders/a%ffb/cancel", object{"reason": "late"}},
	} {
		w.Refused(t, test.status, test.code, "POST", test.path, test.body)
	}
	for _, path := range []string{
		"/orders?limit=0", "/orders?limit=x", "/orders?limit=1001", "/orders?color=red", "/orders?status=lost", "/orders?limit=1&limit=2", "/orders?after=%ff",
		"/orders?wait=-1", "/orders?customer=%00", "/customers?after=%ff", "/orders/x?at=yesterday", "/orders/x?version=0", "/orders/x?version=1&position=1", "/orders/x?%zz",
	} {
		w.Refused(t, 400, "query", "GET", path, nil)
	}
	w.Refused(t, 400, "invalid", "GET", "/orders/a%00b", nil)
	w.Refused(t, 422, "invalid", "GET", "/customers/a%20b", nil)
	w.Refused(t, 405, "method-not-allowed", "DELETE", "/orders/x", nil)
	if n := w.events(t); n != 0 {
		t.Errorf("%d events were written", n)
	}
}

func TestAPI_outlives_its_database(t *testing.T) {
	t.Parallel()
	database := embeddedtest.Server(t)
	c := serve(t, pgstoretest.Open(t, database.URL())).With("Idempotency-Key", "k-1")
	body := object{"customer": "ann", "items": items()}
	c.Ask(t, 201, "POST", "/orders", body, nil)
	database.Kill()
	for refused := 0; refused < 4; { // first by connections that break, then by none to be had
		answer, err := c.Do(t, "POST", "/orders", body)
		if err != nil || answer.Status != 200 && answer.Status != 503 {
			t.Fatalf("%d: %s, %v", answer.Status, answer.Body, err)
		}
		if answer.Status == 503 { // sessions notice the kill a moment later
			refused++
		}
	}
	c.Refused(t, 503, "unavailable", "POST", "/orders", body)
	database.Restart()
	c.Ask(t, 200, "POST", "/orders", body, nil)
}

func TestAPI_says_what_is_missing(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody:secret@127.0.0.1:1/nothing")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	c := serve(t, pgstore.New(pool))
	for _, a := range []webtest.Answer{
		c.Refused(t, 503, "unavailable", "POST", "/orders", object{"customer": "ann", "items": items()}),
		c.Refused(t, 503, "unavailable", "GET", "/orders/x", nil),
		c.Refused(t, 503, "unavailable", "GET", "/healthz", nil),
	} {
		if strings.Contains(string(a.Body), "secret") || a.Header.Get("Retry-After") == "" {
			t.Errorf("%v %s", a.Header, a.Body)
		}
	}
}
