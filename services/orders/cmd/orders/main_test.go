package main

import (
	"strings"
	"testing"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/services/internal/webtest"
)

func TestMain(m *testing.M) { webtest.Main(m, main) }

// A newcomer's session, each command a process.
func TestOrders_runs_as_processes_and_stops_when_asked(t *testing.T) {
	t.Parallel()
	database, brokers := embeddedtest.Database(t), strings.Join(embeddedtest.Brokers(t), ",")
	webtest.Start(t, database, brokers, "migrate").End(0)
	service := webtest.Serve(t, database, brokers)
	projector := webtest.Start(t, database, brokers, "project")
	var order struct {
		ID       string
		Position int64
	}
	items := []map[string]any{{"product": "tea", "quantity": 2, "price_cents": 500}}
	service.Client.Ask(t, 201, "POST", "/orders", map[string]any{"customer": "ann", "items": items}, &order)
	service.Client.Ask(t, 200, "GET", "/orders?wait=1", nil, nil)
	if state, _ := webtest.Start(t, database, brokers, "state", "order", order.ID).End(0); !strings.Contains(state, `"placed"`) {
		t.Errorf("state: %s", state)
	}
	webtest.Start(t, database, brokers, "rebuild", "summary").End(0)
	webtest.Start(t, database, brokers, "status").End(0)
	projector.Stop()
	service.Stop()
	if _, err := service.Client.Do(t, "GET", "/healthz", nil); err == nil {
		t.Error("it still answers")
	}
}

func TestServe_says_what_is_missing(t *testing.T) {
	t.Parallel()
	_, stderr := webtest.Start(t, "", "", "serve").End(2)
	if !strings.Contains(stderr, "DATABASE_URL") {
		t.Error(stderr)
	}
	_, stderr = webtest.Start(t, embeddedtest.Database(t), "", "serve").End(2)
	if !strings.Contains(stderr, "KAFKA_BROKERS") {
		t.Error(stderr)
	}
	_, stderr = webtest.Start(t, embeddedtest.Database(t), strings.Join(embeddedtest.Brokers(t), ","), "serve", "--listen", "127.0.0.1:0").End(6)
	if !strings.Contains(stderr, "run the migrations") {
		t.Error(stderr)
	}
	_, stderr = webtest.Start(t, "postgres://u:geh@eim@127.0.0.1:1/x", "", "serve").End(2)
	if !strings.Contains(stderr, "%40") || strings.Contains(stderr, "eim") {
		t.Error(stderr)
	}
}
