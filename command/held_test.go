package command_test

import (
	"testing"
	"time"

	"github.com/asof-dev/asof/command"
)

// What mappings hold is shown, and can be skipped, once.
func TestHeld_list_and_skip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("held", "list").has("nothing is held")
	first := w.append("a-1", Opened{"ann"})
	w.append("a-1", Deposited{100})
	if _, err := w.pool.Exec(t.Context(), `insert into asof.held (mapping, category, stream_id, version, position, event_id, type, error)
		values ('public-v1', 'account', 'a-1', 1, $1, $2, 'account.opened', E'no such\x1b[31m thing')`, int64(first.Position), first.ID); err != nil {
		t.Fatal(err)
	}
	w.must("held", "list").has("public-v1", "account/a-1", first.ID.String(), "no such", "thing").harmless()
	w.must("status").has("mappings hold 1 streams", "held list")
	var list struct {
		Held []struct {
			Mapping  string    `json:"mapping"`
			Category string    `json:"category"`
			ID       string    `json:"id"`
			Version  int64     `json:"version"`
			Position int64     `json:"position"`
			EventID  string    `json:"event_id"`
			Type     string    `json:"type"`
			Error    string    `json:"error"`
			Attempts int       `json:"attempts"`
			FirstAt  time.Time `json:"first_at"`
			LastAt   time.Time `json:"last_at"`
		} `json:"held"`
	}
	w.must("held", "list", "-o", "json").into(&list)
	if len(list.Held) != 1 || list.Held[0].Mapping != "public-v1" || list.Held[0].EventID != first.ID.String() || list.Held[0].Version != 1 || list.Held[0].Attempts != 1 {
		t.Errorf("%+v", list)
	}
	w.run("held", "skip", "public-v1", "x").exits(command.ExitUsage)
	w.run("held", "skip", "public-v2", first.ID.String()).exits(command.ExitNotFound).has("held list")
	w.must("held", "skip", "public-v1", first.ID.String()).has("is left out by mapping public-v1")
	w.run("held", "skip", "public-v1", first.ID.String()).exits(command.ExitNotFound)
	if n := w.number("select version from asof.held"); n != 2 {
		t.Errorf("held at version %d", n)
	}
}
