package command_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/projections"
)

type rebuilt struct {
	Projection string  `json:"projection"`
	Version    int     `json:"version"`
	Events     int64   `json:"events"`
	Seconds    float64 `json:"seconds"`
	Differing  *int64  `json:"differing"`
}

func TestRebuild_prints_lines_of_progress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"}, Deposited{100})
	w.run("rebuild", "balances").exits(command.ExitOK).has(
		"balances version 1: reading: 0 of 2 events (0%)", "reading: 2 of 2 events (100%)", "verifying", "live: 2 of 2",
		"balances version 1 is live: 2 events in", "no old build", "!\x1b", "!\r")
	if n := w.number("select cents from balances.balances where account = 'a-1'"); n != 100 {
		t.Errorf("%d cents", n)
	}

	w.exec("update balances.balances set cents = 1")
	o := w.run("rebuild", "balances", "-o", "json").exits(command.ExitOK)
	var result rebuilt
	o.into(&result)
	if result.Projection != "balances" || result.Version != 1 || result.Events != 2 || result.Differing == nil || *result.Differing != 1 || result.Seconds <= 0 {
		t.Errorf("%+v", result)
	}
	var phases []string
	for line := range strings.Lines(o.err) {
		var p struct {
			Progress struct {
				Projection string `json:"projection"`
				Phase      string `json:"phase"`
				Done       int64  `json:"done"`
				Total      int64  `json:"total"`
			} `json:"progress"`
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil || p.Progress.Projection != "balances" || p.Progress.Total != 2 {
			t.Errorf("%v in %s", err, line)
		}
		phases = append(phases, p.Progress.Phase)
	}
	if got := strings.Join(slices.Compact(phases), " "); got != "reading verifying live" {
		t.Errorf("phases: %s", got)
	}
}

func TestRebuild_refuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run("rebuild", "nope").exits(command.ExitNotFound).has("known are balances")
	w.run("rebuild").exits(command.ExitUsage).has("rebuild NAME")
	w.run("rollback", "balances").exits(command.ExitNotFound).has("not kept")
	w.run("rollback", "nope").exits(command.ExitNotFound)
	w.append("a-1", Opened{"ann"})
	w.run("rebuild", "balances").exits(command.ExitOK)
	w.exec("create view public.rich as select * from balances.balances where cents > 100")
	w.run("rebuild", "balances").exits(command.ExitBusy).has("view rich")
	w.exec("drop view public.rich")
	newer := *w
	newer.service.Projections = []projections.Definition{balances("account", 2)}
	newer.run("rebuild", "balances").exits(command.ExitOK)
	w.run("rebuild", "balances").exits(command.ExitBusy).has("newer")
	w.run("rollback", "balances").exits(command.ExitOK).has("balances version 1 is live")
	w.service.Projections = []projections.Definition{projections.Fold[Balance, Event]{Name: "No Name"}}
	w.run("rebuild", "balances").exits(command.ExitFailure).has(`"No Name"`)
	w.service.Projections = nil
	w.run("rebuild", "balances").exits(command.ExitNotFound).has("ledger has no projections")
}

// While one rebuild is under way status shows it and another is refused; interrupted
// it keeps what it has.
func TestRebuild_that_is_interrupted_goes_on_later(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"}, Deposited{100})
	r := w.prepare("rebuild", "balances")
	r.log.hold = "verifying" // between two transactions
	r.begin()
	<-r.log.held
	building := w.status().Projections[0]
	if b := building.Building; building.Live || b == nil || b.Version != 1 || !b.Active || b.Done != 2 || b.Total != 2 {
		t.Errorf("%+v", building)
	}
	w.must("status").has("version 1, 2 of 2")
	w.run("rebuild", "balances").exits(command.ExitBusy).has("under way")
	r.stop()
	close(r.log.free)
	r.wait().exits(command.ExitInterrupted).has("interrupted after", "goes on from there")
	until(t, "the lease is given back", func() bool { b := w.status().Projections[0].Building; return b != nil && !b.Active })
	w.must("status").has("stopped")
	w.run("rebuild", "balances").exits(command.ExitOK).has("balances version 1 is live")
}
