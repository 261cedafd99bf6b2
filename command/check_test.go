package command_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es"
)

type checked struct {
	Right    bool        `json:"right"`
	Position es.Position `json:"position"`
	Events   int64       `json:"events"`
	Streams  int64       `json:"streams"`
	Others   []struct {
		Category string `json:"category"`
		Events   int64  `json:"events"`
	} `json:"others"`
	Failures int64 `json:"failures"`
	Failed   []struct {
		Category string      `json:"category"`
		ID       string      `json:"id"`
		Version  es.Version  `json:"version"`
		Position es.Position `json:"position"`
		Type     string      `json:"type"`
		Schema   int         `json:"schema"`
		Error    string      `json:"error"`
	} `json:"failed"`
	Compared    int64 `json:"compared"`
	Differences int64 `json:"differences"`
	Differ      []struct {
		Category string     `json:"category"`
		ID       string     `json:"id"`
		Version  es.Version `json:"version"`
		Why      string     `json:"why"`
	} `json:"differ"`
}

// folding is the service as a program that is still to be deployed has it.
func (w *world) folding(codec es.Codec[Event], evolve func(Account, Event) Account) *world {
	next := *w
	next.service.Aggregates = []command.Aggregate{command.AggregateOf(aggregates.Decider[Account, Event]{
		Category: "account", Codec: codec, Evolve: evolve, Initial: func() Account { return Account{Owner: "nobody"} },
	})}
	return &next
}

func (w *world) check(code int, args ...string) (c checked) {
	w.Helper()
	w.run(append([]string{"check-events", "-o", "json"}, args...)...).exits(code).into(&c)
	return c
}

func TestCheckEvents_compares_what_two_programs_fold(t *testing.T) {
	t.Parallel()
	w := newWorld(t).folding(codec(), evolve)
	for n := range 7 {
		w.append(fmt.Sprintf("a-%d", n), Opened{"ann"}, Deposited{int64(n)})
	}
	last := w.append("a-7", Deposited{13})
	file := filepath.Join(t.TempDir(), "states.jsonl")
	w.must("check-events", "--write", file).has("15 events up to position 15, 8 streams: 0 failed, 0 of 0 states differ")
	c := w.check(command.ExitOK, "--against", file)
	if !c.Right || c.Position != last.Position || c.Events != 15 || c.Streams != 8 || c.Compared != 8 || c.Failed == nil || c.Differ == nil || c.Others == nil {
		t.Errorf("%+v", c)
	}
	w.append("a-0", Deposited{1000}) // what comes after does not matter
	w.append("b-0", Opened{"bob"})

	wrong := w.folding(codec(), func(a Account, e Event) Account {
		if e, ok := e.(Deposited); ok && e.Cents >= 5 && e.Cents < 1000 {
			e.Cents++
			return evolve(a, e)
		}
		return evolve(a, e)
	})
	for _, streams := range []string{"1", "3", "100"} {
		if c := w.check(command.ExitOK, "--against", file, "--streams", streams); !c.Right || c.Compared != 8 || c.Streams != 9 {
			t.Errorf("%s streams at once: %+v", streams, c)
		}
		c := wrong.check(command.ExitFailure, "--against", file, "--streams", streams)
		got := map[string]es.Version{}
		for _, d := range c.Differ {
			got[d.Category+"/"+d.ID] = d.Version
		}
		if c.Right || c.Differences != 3 || c.Compared != 8 || c.Failures != 0 || fmt.Sprint(got) != "map[account/a-5:2 account/a-6:2 account/a-7:1]" {
			t.Errorf("%s streams at once: %+v", streams, c)
		}
		again := filepath.Join(t.TempDir(), "again.jsonl")
		w.must("check-events", "--write", again, "--streams", streams)
		if text, err := os.ReadFile(again); err != nil || strings.Count(string(text), "\n") != 9 { //nolint:gosec // the test's own
			t.Errorf("%s, %v", text, err)
		}
	}
	wrong.run("check-events", "--against", file).exits(command.ExitFailure).has("differs  account/a-5 version 2  the state is another", "0 events failed, 3 states differ: do not deploy")
	begun := w.folding(codec(), evolve)
	begun.service.Aggregates = []command.Aggregate{command.AggregateOf(aggregates.Decider[Account, Event]{Category: "account", Codec: codec(), Evolve: evolve})}
	if c := begun.check(command.ExitFailure, "--against", file); c.Differences != 1 || c.Differ[0].ID != "a-7" {
		t.Errorf("of another initial state: %+v", c)
	}
	other := w.folding(codec(), evolve)
	other.service.Aggregates = []command.Aggregate{command.AggregateOf(aggregates.Decider[Account, Event]{Category: "others", Codec: codec(), Evolve: evolve})}
	if c := other.check(command.ExitFailure, "--against", file); c.Differences != 8 || !strings.Contains(c.Differ[0].Why, "does not have it") || c.Differ[0].ID != "a-0" || len(c.Others) != 1 || c.Others[0].Events != 17 {
		t.Errorf("of a category that is not folded: %+v", c)
	}
}

func TestCheckEvents_names_what_does_not_decode(t *testing.T) {
	t.Parallel()
	w := newWorld(t).folding(codec(), func(a Account, e Event) Account {
		if e == (Deposited{13}) {
			panic("unlucky")
		}
		return evolve(a, e)
	})
	w.append("a-1", Opened{"ann"}, Deposited{1})
	newer := w.appendData("a-1", es.EventData{Type: "account.deposited", Schema: 2, Data: []byte(`{"Cents":1}`)})
	w.appendData("a-2", es.EventData{Type: "account.deposited", Data: []byte(`{"Cents":"ten"}`)})
	w.appendData("a-2", es.EventData{Type: "account.closed", Data: []byte(`{}`)})
	w.append("a-3", Deposited{13}, Deposited{14})
	if _, err := w.store.Append(t.Context(), es.StreamID{Category: "note", ID: "n"}, es.Any, es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	c := w.check(command.ExitFailure)
	if c.Right || c.Failures != 4 || c.Events != 8 || c.Streams != 3 || len(c.Others) != 1 || c.Others[0].Category != "note" || c.Others[0].Events != 1 {
		t.Fatalf("%+v", c)
	}
	for i, want := range []string{"newer schema", "does not decode", `unknown event type: "account.closed"`, "panic: unlucky"} {
		if !strings.Contains(c.Failed[i].Error, want) {
			t.Errorf("%q is not in %+v", want, c.Failed[i])
		}
	}
	if f := c.Failed[0]; f.Category != "account" || f.ID != "a-1" || f.Version != newer.Version || f.Position != newer.Position || f.Type != newer.Type || f.Schema != 2 {
		t.Errorf("%+v", f)
	}
	w.run("check-events").exits(command.ExitFailure).has("failed   account/a-1 version 3  position 3  es: event of a newer schema", "no decider of category note: 1 event\n", "4 events failed, 0 states differ")
	for n := range 150 { // more than are named
		w.appendData(fmt.Sprintf("b-%d", n), es.EventData{Type: "account.closed", Data: []byte(`{}`)})
	}
	if c := w.check(command.ExitFailure); c.Failures != 154 || len(c.Failed) != 100 {
		t.Errorf("%d failures, %d named", c.Failures, len(c.Failed))
	}
}

// hidden is a state of which JSON has nothing; loud one that it cannot write.
type (
	hidden struct{ owner string }
	loud   struct{ Rate float64 }
)

func TestCheckEvents_compares_nothing_that_JSON_does_not_show(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	file := filepath.Join(t.TempDir(), "states.jsonl")
	w.must("check-events", "--write", file)
	w.service.Aggregates = []command.Aggregate{command.AggregateOf(aggregates.Decider[hidden, Event]{
		Category: "account", Codec: codec(), Evolve: func(_ hidden, e Event) hidden { return hidden{e.EventType()} },
	})}
	w.must("check-events").has("0 failed")
	w.run("check-events", "--write", file).exits(command.ExitUsage).has("hidden", "give the type a MarshalJSON")
	w.run("check-events", "--against", file).exits(command.ExitUsage).has("MarshalJSON")
	w.service.Aggregates = []command.Aggregate{command.AggregateOf(aggregates.Decider[loud, Event]{
		Category: "account", Codec: codec(), Evolve: func(loud, Event) loud { return loud{math.NaN()} },
	})}
	if c := w.check(command.ExitFailure, "--against", file); c.Differences != 1 || !strings.Contains(c.Differ[0].Why, "as JSON") {
		t.Errorf("%+v", c)
	}
	before, err := os.ReadFile(file) //nolint:gosec // the test's own
	if err != nil {
		t.Fatal(err)
	}
	w.run("check-events", "--write", file).exits(command.ExitFailure).has("the state of account/a-1 as JSON")
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) { //nolint:gosec // the test's own
		t.Errorf("the file was changed to %s, %v", after, err)
	}
	if list, err := os.ReadDir(filepath.Dir(file)); err != nil || len(list) != 1 {
		t.Errorf("%v is left, %v", list, err)
	}
}

func TestCheckEvents_refuses_files_that_are_none(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte("{\"category\":\"account\",\"id\":\"a\",\"version\":1,\"state\":\"x\"}\n{\"category\":\"account\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	unversioned := filepath.Join(t.TempDir(), "unversioned")
	if err := os.WriteFile(unversioned, []byte(`{"category":"account","id":"a","state":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run("check-events", "--against", unversioned).exits(command.ExitUsage).has("line 1 of")
	w.run("check-events", "--against", filepath.Join(dir, "none")).exits(command.ExitUsage).has("check-events --write")
	w.run("check-events", "--against", broken).exits(command.ExitUsage).has("line 2 of", "write the file anew")
	w.run("check-events", "--write", filepath.Join(dir, "no", "file")).exits(command.ExitUsage).has("--write")
	w.run("check-events", "--streams", "0").exits(command.ExitUsage).has("give 1 or more")
	w.run("check-events", "more").exits(command.ExitUsage)
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("%v is left, %v", list, err)
	}
	w.service.Aggregates = nil
	w.run("check-events").exits(command.ExitNotFound).has("has no decider")
}
