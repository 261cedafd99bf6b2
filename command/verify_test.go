package command_test

import (
	"encoding/json"
	"testing"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es"
)

type verification struct {
	Projection string `json:"projection"`
	Same       bool   `json:"same"`
	Builds     []struct {
		Build      int64       `json:"build"`
		Version    int         `json:"version"`
		State      string      `json:"state"`
		Kind       string      `json:"kind"`
		Position   es.Position `json:"position"`
		Partly     bool        `json:"partly"`
		Categories []struct {
			Name    string `json:"name"`
			Applied int64  `json:"applied"`
			Logged  int64  `json:"logged"`
			Same    bool   `json:"same"`
		} `json:"categories"`
		Differences []string `json:"differences"`
	} `json:"builds"`
}

func TestVerify_says_what_differs_and_fails_then(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"}, Deposited{1})
	w.run("verify", "balances").exits(command.ExitNotFound).has(`no builds of "balances"`)
	w.rebuild("balances", 2)
	w.must("verify", "balances").has("balances build 2 (version 1, live) agrees with the log up to position 2: 2 events of 1 categories", "build 1 (version 1, kept) agrees", "!not known")
	var v verification
	w.must("verify", "balances", "-o", "json").into(&v)
	if v.Projection != "balances" || !v.Same || len(v.Builds) != 2 || v.Builds[0].Build != 2 || v.Builds[0].State != "live" || v.Builds[0].Kind != "log" ||
		v.Builds[0].Position != 2 || v.Builds[0].Partly || v.Builds[0].Differences == nil || len(v.Builds[0].Categories) != 1 {
		t.Errorf("%+v", v)
	}
	w.run("verify", "nope").exits(command.ExitNotFound).has("there are those of balances")
	w.run("verify").exits(command.ExitUsage).has("verify NAME")

	gone := w.with()
	gone.must("verify", "balances").has("agrees with the log", "not known here")
	w.exec(`update asof.sums set events = 5 where build = 1`)
	const difference = "account: 5 events were applied and the log has 2: at least 3 that were applied are not in the log"
	for _, world := range []*world{w, gone} {
		world.run("verify", "balances").exits(command.ExitFailure).has("build 2 (version 1, live) agrees", "build 1 (version 1, kept) differs", difference, "1 of 2 builds of balances do not agree")
		o := world.run("verify", "balances", "-o", "json").exits(command.ExitFailure)
		v = verification{}
		o.into(&v)
		if v.Same || len(v.Builds[1].Differences) != 1 || v.Builds[1].Differences[0] != difference || v.Builds[1].Categories[0].Applied != 5 || v.Builds[1].Categories[0].Logged != 2 {
			t.Errorf("%+v", v)
		}
		var f failure
		if err := json.Unmarshal([]byte(o.err), &f); err != nil || f.Error.Code != command.ExitFailure {
			t.Errorf("%v in %s", err, o.err)
		}
	}
	if n := w.number(`select events from asof.sums where build = 1`); n != 5 {
		t.Errorf("%d: verify has changed it", n)
	}
	w.exec(`update asof.builds set kind = 'kafka' where id = 2`)
	w.run("verify", "balances").has("up to position 2, and after it in what Kafka has brought: 2 events")
}
