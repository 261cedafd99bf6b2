package command_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es"
)

type event struct {
	Position    es.Position     `json:"position"`
	Category    string          `json:"category"`
	ID          string          `json:"id"`
	Version     es.Version      `json:"version"`
	EventID     string          `json:"event_id"`
	Type        string          `json:"type"`
	Schema      int             `json:"schema"`
	RecordedAt  time.Time       `json:"recorded_at"`
	ContentType string          `json:"content_type"`
	Data        json.RawMessage `json:"data"`
	DataBase64  string          `json:"data_base64"`
	Metadata    es.Metadata     `json:"metadata"`
}

// events decodes JSON lines.
func (o *outcome) events() (list []event) {
	o.Helper()
	for line := range strings.Lines(o.out) {
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		var e event
		if err := decoder.Decode(&e); err != nil {
			o.Fatalf("%v: %v in %s", o.args, err, line)
		}
		list = append(list, e)
	}
	return list
}

func places(list []event) string {
	var texts []string
	for _, e := range list {
		texts = append(texts, fmt.Sprintf("%s/%s@%d", e.Category, e.ID, e.Version))
	}
	return strings.Join(texts, " ")
}

func TestLog_selects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	w.append("b-1", Opened{"bob"})
	third := w.append("a-1", Deposited{1})
	other := es.EventData{ID: es.NewID(), Type: "note.taken", Data: []byte("\x00\xff"), ContentType: "application/octet-stream", Metadata: es.Metadata{CorrelationID: "c-1"}}
	if _, err := w.store.Append(t.Context(), es.StreamID{Category: "note", ID: "n-1"}, es.NoStream, other); err != nil {
		t.Fatal(err)
	}
	after := fmt.Sprint(third.Position)
	for _, test := range []struct{ args, want string }{
		{"", "account/a-1@1 account/b-1@1 account/a-1@2 note/n-1@1"},
		{"account", "account/a-1@1 account/b-1@1 account/a-1@2"},
		{"account a-1", "account/a-1@1 account/a-1@2"},
		{"account a-1 --limit 1", "account/a-1@1"},
		{"account --limit 2", "account/a-1@1 account/b-1@1"},
		{"--after " + after, "note/n-1@1"},
		{"--after -2", "account/a-1@2 note/n-1@1"},
		{"account a-1 --after -2", "account/a-1@2"},
		{"account --after " + after, ""},
		{"--limit 0", "account/a-1@1 account/b-1@1 account/a-1@2 note/n-1@1"},
	} {
		args := append([]string{"log", "-o", "json"}, strings.Fields(test.args)...)
		if got := places(w.must(args...).events()); got != test.want {
			t.Errorf("log %s: %s, want %s", test.args, got, test.want)
		}
	}
	last := w.must("log", "note", "n-1", "-o", "json").events()[0]
	if last.DataBase64 != "AP8=" || last.Data != nil || last.Metadata.CorrelationID != "c-1" || last.EventID != other.ID.String() {
		t.Errorf("%+v", last)
	}
	if first := w.must("log", "account", "-o", "json").events()[0]; string(first.Data) != `{"Owner":"ann"}` || first.ContentType != "application/json" {
		t.Errorf("%+v", first)
	}
}

func TestLog_is_for_people_too(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"}, Deposited{1}, Deposited{2})
	w.must("log").has("POSITION", "account/a-1", "account.opened", `{"Owner":"ann"}`)
	w.run("log", "--limit", "2").exits(0).has("There is more: --after 2")
	w.run("log", "account", "a-1", "--limit", "2").exits(0).has("There is more: --after 2")
	w.must("log", "account", "a-1", "--limit", "3").has("!There is more")
}

func TestLog_refuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run("log", "account").exits(command.ExitNotFound).has("none")
	w.must("log")
	w.append("a-1", Opened{"ann"})
	w.run("log", "account", "a-2").exits(command.ExitNotFound).has("account/a-2")
	w.run("log", "order").exits(command.ExitNotFound).has("account")
	w.run("log", "bad name", "x").exits(command.ExitUsage).has("category")
	w.run("log", "--limit", "-1").exits(command.ExitUsage)
	w.run("log", "--after", "x").exits(command.ExitUsage)
	w.run("log", "a", "b", "c").exits(command.ExitUsage)
}

// Pages are of 500: what is longer must come whole and in order.
func TestLog_of_several_pages_comes_whole_and_in_order(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		many := make([]Event, 400)
		for i := range many {
			many[i] = Deposited{int64(i)}
		}
		w.append("a-1", many...)
		w.append("b-1", Opened{"bob"})
	}
	for _, args := range [][]string{{"log", "account", "a-1"}, {"log", "account"}, {"log"}} {
		list := w.must(append(args, "-o", "json", "--limit", "0")...).events()
		var last es.Version
		for _, e := range list {
			if e.ID == "a-1" {
				if last++; e.Version != last {
					t.Fatalf("%v: version %d after %d", args, e.Version, last-1)
				}
			}
		}
		if last != 1200 {
			t.Errorf("%v ended at version %d", args, last)
		}
	}
	if n := len(w.must("log", "account", "a-1", "-o", "json", "--limit", "700").events()); n != 700 {
		t.Errorf("%d events of 700", n)
	}
}

func TestLog_follows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	all := w.start("log", "--follow", "-o", "json")
	one := w.start("log", "account", "a-1", "--follow", "-o", "json")
	none := w.start("log", "account", "z-1", "--follow", "-o", "json")
	limited := w.start("log", "--follow", "--limit", "2", "-o", "json")
	until(t, "the first event", func() bool { return strings.Count(all.stdout.String()+one.stdout.String(), "\n") == 2 })
	w.append("b-1", Opened{"bob"})
	w.append("a-1", Deposited{1})
	w.append("z-1", Opened{"zoe"})
	until(t, "all events", func() bool {
		return strings.Count(all.stdout.String(), "\n") == 4 && strings.Count(one.stdout.String(), "\n") == 2 && none.stdout.String() != ""
	})
	for r, want := range map[*running]string{
		all:  "account/a-1@1 account/b-1@1 account/a-1@2 account/z-1@1",
		one:  "account/a-1@1 account/a-1@2",
		none: "account/z-1@1",
	} {
		if got := places(r.interrupt().exits(command.ExitOK).events()); got != want {
			t.Errorf("%v: %s, want %s", r.args, got, want)
		}
	}
	if got := places(limited.wait().exits(command.ExitOK).events()); got != "account/a-1@1 account/b-1@1" {
		t.Errorf("with a limit: %s", got)
	}
}

// An append to the stream itself that is open while the stream is read stands below
// the end of the log, and comes when it is committed.
func TestLog_follows_a_stream_with_an_append_of_its_own_open(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }() // the pool waits for it when the test fails
	open := es.EventData{ID: es.NewID(), Type: "account.deposited", Data: []byte(`{"Cents":7}`)}
	if _, err := w.store.InTx(tx).Append(t.Context(), es.StreamID{Category: "account", ID: "a-1"}, es.Any, open); err != nil {
		t.Fatal(err)
	}
	w.append("b-1", Opened{"bob"})
	r := w.start("log", "account", "a-1", "--follow", "-o", "json")
	until(t, "the first event", func() bool { return strings.Count(r.stdout.String(), "\n") == 1 })
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("a-1", Deposited{8})
	until(t, "the last event", func() bool { return strings.Contains(r.stdout.String(), `"Cents":8`) })
	if got := places(r.interrupt().exits(command.ExitOK).events()); got != "account/a-1@1 account/a-1@2 account/a-1@3" {
		t.Errorf("followed %s", got)
	}
}

// While an append stays open the log does not go on, but a stream is read to its end:
// what was printed then must not come again from the log.
func TestLog_follows_a_stream_past_an_open_append(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }() // the pool waits for it when the test fails
	open := es.EventData{ID: es.NewID(), Type: "account.opened", Data: []byte(`{}`)}
	if _, err := w.store.InTx(tx).Append(t.Context(), es.StreamID{Category: "account", ID: "b-1"}, es.NoStream, open); err != nil {
		t.Fatal(err)
	}
	w.append("a-1", Deposited{1})
	r := w.start("log", "account", "a-1", "--follow", "-o", "json")
	until(t, "both events", func() bool { return strings.Count(r.stdout.String(), "\n") == 2 })
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("a-1", Deposited{2})
	until(t, "the third", func() bool { return strings.Contains(r.stdout.String(), `"Cents":2`) })
	if got := places(r.interrupt().exits(command.ExitOK).events()); got != "account/a-1@1 account/a-1@2 account/a-1@3" {
		t.Errorf("followed %s", got)
	}
}
