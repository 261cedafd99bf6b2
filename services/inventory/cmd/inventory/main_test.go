package main

import (
	"strings"
	"testing"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/services/internal/webtest"
)

func TestMain(m *testing.M) { webtest.Main(m, main) }

func TestInventory_runs_as_processes_and_stops_when_asked(t *testing.T) {
	t.Parallel()
	database, brokers := embeddedtest.Database(t), strings.Join(embeddedtest.Brokers(t), ",")
	webtest.Start(t, database, brokers, "migrate").End(0)
	service := webtest.Serve(t, database, brokers)
	projector := webtest.Start(t, database, brokers, "project")
	service.Client.Ask(t, 200, "POST", "/products/tea/receipts", map[string]any{"reference": "r-1", "quantity": 10}, nil)
	service.Client.Ask(t, 200, "GET", "/stock/tea?wait=1", nil, nil)
	if state, _ := webtest.Start(t, database, brokers, "state", "product", "tea").End(0); !strings.Contains(state, `"free": 10`) {
		t.Errorf("state: %s", state)
	}
	webtest.Start(t, database, brokers, "rebuild", "stock").End(0)
	projector.Stop()
	service.Stop()
}
