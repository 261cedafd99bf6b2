package command_test

import (
	"testing"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/projections"
)

type dropped struct {
	Projection string `json:"projection"`
	Whole      bool   `json:"whole"`
	Dropped    []struct {
		Build   int64  `json:"build"`
		Version int    `json:"version"`
		State   string `json:"state"`
		Schema  string `json:"schema"`
		Bytes   int64  `json:"bytes"`
	} `json:"dropped"`
}

func TestDrop_of_a_kept_build(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	w.rebuild("balances", 2)
	refused := func(code int, text string, args ...string) {
		t.Helper()
		w.run(append([]string{"drop"}, args...)...).exits(code).has(text)
		if got := w.states(); got != "balances 2 live;balances 1 kept;" {
			t.Fatalf("%v: %s", args, got)
		}
	}
	refused(command.ExitUsage, "build 1 (version 1, kept, ", "balances", "1")
	refused(command.ExitUsage, "confirm with --yes", "balances", "1", "-o", "json")
	refused(command.ExitBusy, "build 2 of balances (version 1, live)", "balances", "2", "--yes")
	refused(command.ExitBusy, "rebuild or roll back", "balances", "2")
	refused(command.ExitNotFound, "no build 7: there are build 2", "balances", "7", "--yes")
	refused(command.ExitNotFound, "there are those of balances", "nope", "1", "--yes")
	refused(command.ExitUsage, `build "one"`, "balances", "one", "--yes")
	refused(command.ExitUsage, "ledger drop NAME [BUILD] --yes", "--yes")
	w.exec(`create view public.rich as select * from balances_v1_b1.balances`)
	refused(command.ExitBusy, "view rich", "balances", "1", "--yes")
	w.exec(`drop view public.rich`)

	var d dropped
	w.must("drop", "balances", "1", "--yes", "-o", "json").into(&d)
	if d.Projection != "balances" || d.Whole || len(d.Dropped) != 1 || d.Dropped[0].Build != 1 || d.Dropped[0].State != "kept" || d.Dropped[0].Schema != "balances_v1_b1" || d.Dropped[0].Bytes == 0 {
		t.Errorf("%+v", d)
	}
	if got := w.states(); got != "balances 2 live;" {
		t.Error(got)
	}
	w.run("rollback", "balances").exits(command.ExitNotFound)
}

// The whole of a read model goes only when the program does not have it, and by a program
// that can know.
func TestDrop_of_a_read_model_that_the_program_has_no_more(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	w.rebuild("balances", 2)
	other := balances("account", 1)
	other.Name = "others"
	w.with(other).rebuild("others", 1)
	const all = "balances 2 live;balances 1 kept;others 3 live;"
	refused := func(w *world, code int, text string, args ...string) {
		t.Helper()
		w.run(append([]string{"drop"}, args...)...).exits(code).has(text)
		if got := w.states(); got != all {
			t.Fatalf("%v: %s", args, got)
		}
	}
	refused(w, command.ExitUsage, `ledger has the read model "balances"`, "balances", "--yes")
	bare := *w
	bare.service = command.Service{Name: "asof"}
	refused(&bare, command.ExitUsage, "the service's own command", "balances", "--yes")
	broken := w.with(projections.Fold[Balance, Event]{Name: "No Name"})
	refused(broken, command.ExitFailure, `"No Name"`, "balances", "--yes")
	gone := w.with(other)
	refused(gone, command.ExitUsage, "build 2 (version 1, live, ", "balances")
	refused(gone, command.ExitUsage, "confirm with --yes", "balances")
	refused(gone, command.ExitNotFound, "there are those of balances, others", "nope", "--yes")
	refused(gone, command.ExitBusy, "drop the whole", "balances", "2", "--yes")

	gone.must("drop", "balances", "--yes").has("balances build 2 is dropped: version 1, live", "balances build 1 is dropped", "Nothing is left of balances")
	if got := gone.states(); got != "others 3 live;" {
		t.Error(got)
	}
	if s := gone.status().Projections; len(s) != 1 || s[0].Name != "others" {
		t.Errorf("%+v", s)
	}
	var d dropped
	w.with().must("drop", "others", "--yes", "-o", "json").into(&d) // a service with aggregates alone
	if !d.Whole || len(d.Dropped) != 1 || d.Dropped[0].State != "live" {
		t.Errorf("%+v", d)
	}
}

func TestDrop_of_a_build_by_a_program_without_code(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	w.rebuild("balances", 2)
	bare := *w
	bare.service = command.Service{Name: "asof"}
	bare.must("drop", "balances", "1", "--yes")
	if got := bare.states(); got != "balances 2 live;" {
		t.Error(got)
	}
}
