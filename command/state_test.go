package command_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es"
)

type state struct {
	Category   string      `json:"category"`
	ID         string      `json:"id"`
	Version    es.Version  `json:"version"`
	Position   es.Position `json:"position"`
	RecordedAt time.Time   `json:"recorded_at"`
	State      Account     `json:"state"`
}

func stateAt(e es.RecordedEvent, a Account) state {
	return state{Category: e.Stream.Category, ID: e.Stream.ID, Version: e.Version, Position: e.Position, RecordedAt: e.RecordedAt, State: a}
}

func TestState_is_shown_now_and_as_of_a_moment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.append("a-1", Opened{"ann"})
	w.append("b-1", Opened{"bob"})
	second := w.append("a-1", Deposited{100})
	last := w.append("a-1", Deposited{11}, Deposited{22})
	opened, paid := stateAt(first, Account{Owner: "ann"}), stateAt(second, Account{"ann", 100})
	for name, test := range map[string]struct {
		flags []string
		want  state
	}{
		"now":               {nil, stateAt(last, Account{"ann", 133})},
		"version":           {[]string{"--version", "2"}, paid},
		"position":          {[]string{"--position", fmt.Sprint(second.Position)}, paid},
		"position between":  {[]string{"--position", fmt.Sprint(second.Position - 1)}, opened},
		"time":              {[]string{"--at", second.RecordedAt.Format(time.RFC3339Nano)}, paid},
		"time in a zone":    {[]string{"--at", second.RecordedAt.In(time.FixedZone("", 3600)).Format(time.RFC3339Nano)}, paid},
		"time just before":  {[]string{"--at", second.RecordedAt.Add(-time.Microsecond).Format(time.RFC3339Nano)}, opened},
		"duration":          {[]string{"--at", "-1us"}, stateAt(last, Account{"ann", 133})},
		"duration with '='": {[]string{"--at=-1us"}, stateAt(last, Account{"ann", 133})},
	} {
		var got state
		w.must(append([]string{"state", "account", "a-1", "--output", "json"}, test.flags...)...).into(&got)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	w.must("state", "account", "a-1").has("account/a-1  version 4", `"owner": "ann"`, `"balance": 133`)
	w.must("state", "account", "a-1", "--at", first.RecordedAt.UTC().Format("2006-01-02T15:04:05.000000Z")).has("version 1")
}

func TestState_refuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	for _, test := range []struct {
		code int
		text string
		args []string
	}{
		{command.ExitNotFound, "account/a-2", []string{"account", "a-2"}},
		{command.ExitNotFound, "no event by then", []string{"account", "a-1", "--at", "-24h"}},
		{command.ExitNotFound, "known are account", []string{"order", "o-1"}},
		{command.ExitUsage, "RFC 3339", []string{"account", "a-1", "--at", "yesterday"}},
		{command.ExitUsage, "RFC 3339", []string{"account", "a-1", "--at", "2026-03-01T12:00:00"}},
		{command.ExitUsage, "begin it with a minus", []string{"account", "a-1", "--at", "5m"}},
		{command.ExitUsage, "count from 1", []string{"account", "a-1", "--version", "0"}},
		{command.ExitUsage, "count from 1", []string{"account", "a-1", "--position", "-3"}},
		{command.ExitUsage, "invalid argument", []string{"account", "a-1", "--version", "two"}},
		{command.ExitUsage, "none of the others can be", []string{"account", "a-1", "--version", "1", "--at", "-5m"}},
		{command.ExitUsage, "state CATEGORY ID", []string{"account"}},
		{command.ExitBusy, "at version 1", []string{"account", "a-1", "--version", "2"}},
		{command.ExitBusy, "not in the past", []string{"account", "a-1", "--at", "2999-01-01T00:00:00Z"}},
		{command.ExitBusy, "past the end of the log", []string{"account", "a-1", "--position", "999"}},
	} {
		w.run(append([]string{"state"}, test.args...)...).exits(test.code).has(test.text, "ledger state: ")
	}
	w.append("a-1", Deposited{1})
	w.service.Aggregates = nil
	w.run("state", "account", "a-1").exits(command.ExitNotFound).has("has no decider", "log CATEGORY ID")
}

// An event that the decider does not know, or whose payload is not its type's, fails
// the command and names the event.
func TestState_names_an_event_that_it_cannot_fold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, data := range map[string]es.EventData{
		"unknown": {ID: es.NewID(), Type: "account.renamed", Data: []byte(`{}`)},
		"broken":  {ID: es.NewID(), Type: "account.opened", Data: []byte(`[]`)},
	} {
		if _, err := w.store.Append(t.Context(), es.StreamID{Category: "account", ID: id}, es.NoStream, data); err != nil {
			t.Fatal(err)
		}
		w.run("state", "account", id).exits(command.ExitFailure).has(data.Type, "account/"+id)
		w.must("log", "account", id).has(data.Type)
	}
}
