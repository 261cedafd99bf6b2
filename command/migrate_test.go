package command_test

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/migrations"
)

type migrated struct {
	Sets []struct {
		Schema  string `json:"schema"`
		Version int64  `json:"version"`
		Pending int    `json:"pending"`
		Files   []struct {
			Version   int64      `json:"version"`
			Name      string     `json:"name"`
			AppliedAt *time.Time `json:"applied_at"`
			New       bool       `json:"new"`
		} `json:"files"`
	} `json:"sets"`
}

// withNotes is a world whose service has a table of its own.
func withNotes(t *testing.T) *world {
	w := emptyWorld(t)
	w.service.Migrations = []migrations.Set{{Schema: "notes", Files: fstest.MapFS{
		"0001_notes.sql": {Data: []byte("-- +goose Up\ncreate table notes (note text);\n\n-- +goose Down\ndrop table notes;\n")},
	}}}
	return w
}

func TestMigrate_makes_all_tables(t *testing.T) {
	t.Parallel()
	w := withNotes(t)
	w.must("migrate", "status").has("0001_events.sql", "not yet", "!new")
	var first, second migrated
	w.must("migrate", "--output", "json").into(&first)
	w.must("migrate", "up", "-o", "json").into(&second)
	if len(first.Sets) != 2 || first.Sets[0].Schema != "asof" || first.Sets[1].Schema != "notes" {
		t.Fatalf("sets: %+v", first)
	}
	for i := range first.Sets {
		for j, file := range first.Sets[i].Files {
			if again := second.Sets[i].Files[j]; !file.New || again.New || again.AppliedAt == nil {
				t.Errorf("%s: %+v, then %+v", first.Sets[i].Schema, file, again)
			}
		}
		if set := first.Sets[i]; set.Pending != 0 || set.Version != int64(len(set.Files)) {
			t.Errorf("set: %+v", set)
		}
	}
	w.must("migrate", "status").has("0001_notes.sql", "!not yet")
	w.exec("insert into notes.notes values ('hello')")
	w.must("status")
}

func TestMigrate_down_asks_first(t *testing.T) {
	t.Parallel()
	w := withNotes(t)
	w.must("migrate")
	w.run("migrate", "down", "notes", "--to", "0").exits(command.ExitUsage).has("--yes")
	w.exec("insert into notes.notes values ('still there')")
	w.run("migrate", "down", "notes", "--yes").exits(command.ExitUsage).has(`"to" not set`)
	w.run("migrate", "down", "elsewhere", "--to", "0", "--yes").exits(command.ExitNotFound).has("asof, notes")
	w.run("migrate", "down", "notes", "--to", "-1", "--yes").exits(command.ExitUsage)
	w.must("migrate", "down", "notes", "--to", "0", "--yes").has("not yet")
	if n := w.number("select count(*) from pg_class where relname = 'notes'"); n != 0 {
		t.Error("the table is still there")
	}
	w.must("migrate", "down", "asof", "--to", "0", "--yes")
	w.run("status").exits(command.ExitNotMigrated)
}
