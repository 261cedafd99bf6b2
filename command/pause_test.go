package command_test

import (
	"testing"

	"github.com/asof-dev/asof/command"
)

func TestPause_resume_and_rewind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"}, Deposited{100}, Deposited{200})
	w.run("pause", "balances", "--reason", "x").exits(command.ExitNotFound).has(`no builds of "balances"`)
	w.rebuild("balances", 1)
	w.run("pause", "balances").exits(command.ExitUsage).has("--reason TEXT")
	w.must("pause", "balances", "--reason", "a \x1b[31mlook").has("balances is paused", "resume").harmless()
	w.must("status").has("paused", "a ", "look").harmless()
	if s := w.status().Projections; len(s) != 1 || s[0].Paused == nil || s[0].Paused.Reason != "a \x1b[31mlook" || s[0].Paused.Since.IsZero() {
		t.Errorf("%+v", s)
	}
	w.must("resume", "balances").has("balances goes on")
	w.must("resume", "balances").has("balances was not paused")
	w.run("resume", "nope").exits(command.ExitNotFound)
	var p struct {
		Projection string `json:"projection"`
		Paused     bool   `json:"paused"`
		Changed    bool   `json:"changed"`
	}
	w.must("pause", "balances", "--reason", "x", "-o", "json").into(&p)
	if p.Projection != "balances" || !p.Paused || !p.Changed {
		t.Errorf("%+v", p)
	}
	w.must("resume", "balances")

	for _, to := range []string{"", "two", "-1"} {
		w.run("rewind", "balances", "--to", to).exits(command.ExitUsage).has("give the position")
	}
	w.run("rewind", "nope", "--to", "1").exits(command.ExitNotFound)
	w.run("rewind", "balances", "--to", "2").exits(command.ExitOK).has("balances version 1 is live")
	if n := w.number("select cents from balances.balances"); n != 100 {
		t.Errorf("%d cents as of position 2", n)
	}
	w.must("status").has("paused", "rewound to position 2")
	w.run("rewind", "balances", "--to", "9").exits(command.ExitBusy)
}
