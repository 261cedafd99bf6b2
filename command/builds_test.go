package command_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

type builds struct {
	Builds []struct {
		Projection string      `json:"projection"`
		Build      int64       `json:"build"`
		Version    int         `json:"version"`
		State      string      `json:"state"`
		Active     bool        `json:"active"`
		Schema     string      `json:"schema"`
		Kind       string      `json:"kind"`
		Source     string      `json:"source"`
		Position   es.Position `json:"position"`
		MadeAt     time.Time   `json:"made_at"`
		ChangedAt  time.Time   `json:"changed_at"`
		Bytes      int64       `json:"bytes"`
		Gone       bool        `json:"gone"`
		Tables     []struct {
			Name      string `json:"name"`
			Rows      *int64 `json:"rows"`
			Estimated bool   `json:"estimated"`
			Bytes     int64  `json:"bytes"`
		} `json:"tables"`
	} `json:"builds"`
}

func (w *world) builds(args ...string) (list builds) {
	w.Helper()
	w.must(append([]string{"builds", "-o", "json"}, args...)...).into(&list)
	return list
}

// states are what builds there are, in short.
func (w *world) states(args ...string) string {
	w.Helper()
	text := ""
	for _, b := range w.builds(args...).Builds {
		text += fmt.Sprintf("%s %d %s;", b.Projection, b.Build, b.State)
	}
	return text
}

func (w *world) rebuild(name string, times int) {
	w.Helper()
	for range times {
		w.run("rebuild", name).exits(command.ExitOK)
	}
}

// with is a world whose program has other read models.
func (w *world) with(list ...projections.Definition) *world {
	other := *w
	other.service.Projections = list
	return &other
}

func TestBuilds_of_what_the_program_has_and_of_what_it_has_no_more(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("builds").has("no builds")
	if list := w.builds(); list.Builds == nil || len(list.Builds) != 0 {
		t.Errorf("%+v", list)
	}
	w.append("a-1", Opened{"ann"}, Deposited{1})
	w.append("a-2", Opened{"bob"})
	w.rebuild("balances", 2)
	other := balances("account", 1)
	other.Name = "others"
	gone := w.with(other)
	gone.rebuild("others", 1)

	for _, world := range []*world{w, gone} {
		list := world.builds("balances").Builds
		if len(list) != 2 || list[0].Tables[0].Rows == nil {
			t.Fatalf("%+v", list)
		}
		b := list[0]
		if b.Projection != "balances" || b.Build != 2 || b.Version != 1 || b.State != "live" || b.Active || b.Schema != "balances" || b.Kind != "log" || b.Source != "log" ||
			b.Position != 3 || b.MadeAt.IsZero() || b.ChangedAt.IsZero() || b.Gone || len(b.Tables) != 1 {
			t.Errorf("%+v", b)
		}
		if table := b.Tables[0]; table.Name != "balances" || *table.Rows != 2 || table.Estimated || table.Bytes == 0 || table.Bytes != b.Bytes {
			t.Errorf("%+v", table)
		}
		if kept := list[1]; kept.State != "kept" || kept.Schema != "balances_v1_b1" || kept.Build != 1 {
			t.Errorf("%+v", kept)
		}
		if got := world.states(); got != "balances 2 live;balances 1 kept;others 3 live;" {
			t.Error(got)
		}
		world.must("builds", "balances", "others").has("PROJECTION", "balances_v1_b1", "kept", "2 balances", "others")
		world.run("builds", "others", "nope").exits(command.ExitNotFound).has(`no builds of "nope"`, "balances, others")
	}
	w.exec(`drop schema balances_v1_b1 cascade`)
	w.exec(`alter table others.balances set (autovacuum_enabled = off)`)
	w.exec(`insert into others.balances select 'x' || n || repeat('x', 600), n from generate_series(1, 40000) n`)
	w.must("builds").has("the schema is gone", "? balances")
	if rows := w.builds("others").Builds[0].Tables[0].Rows; rows != nil {
		t.Errorf("%d rows", *rows)
	}
	w.exec(`analyze others.balances`)
	w.must("builds").has("~40,002 balances")
}

func TestBuilds_shows_a_rebuild_that_was_stopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	r := w.prepare("rebuild", "balances")
	r.log.hold = "verifying"
	r.begin()
	<-r.log.held
	if list := w.builds().Builds; len(list) != 1 || list[0].State != "building" || !list[0].Active {
		t.Errorf("%+v", list)
	}
	w.must("builds").has("building", "!stopped")
	w.run("drop", "balances", "1", "--yes").exits(command.ExitBusy).has("a rebuild holds build 1")
	r.stop()
	close(r.log.free)
	r.wait().exits(command.ExitInterrupted)
	until(t, "the lease is given back", func() bool { return !w.builds().Builds[0].Active })
	w.must("builds").has("building, stopped")
	w.must("drop", "balances", "1", "--yes").has("balances build 1 is dropped: version 1, building")
	w.must("builds").has("no builds")
}
