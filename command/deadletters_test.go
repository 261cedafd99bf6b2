package command_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

type header struct {
	Position    es.Position `json:"position"`
	Category    string      `json:"category"`
	ID          string      `json:"id"`
	Version     es.Version  `json:"version"`
	EventID     uuid.UUID   `json:"event_id"`
	Type        string      `json:"type"`
	Schema      int         `json:"schema"`
	RecordedAt  time.Time   `json:"recorded_at"`
	ContentType string      `json:"content_type"`
}

type parkedUnit struct {
	Build    int64      `json:"build"`
	Version  int        `json:"version"`
	State    string     `json:"state"`
	Key      string     `json:"key"`
	Error    string     `json:"error"`
	Behind   es.Version `json:"behind"`
	Attempts int        `json:"attempts"`
	FirstAt  time.Time  `json:"first_at"`
	LastAt   time.Time  `json:"last_at"`
}

type deadLetters struct {
	Parked []struct {
		Projection string `json:"projection"`
		parkedUnit
		Event header `json:"event"`
	} `json:"parked"`
	Skipped []struct {
		Projection string    `json:"projection"`
		EventID    uuid.UUID `json:"event_id"`
		Key        string    `json:"key"`
		Reason     string    `json:"reason"`
		At         time.Time `json:"at"`
	} `json:"skipped"`
	Messages        []parkedMessage `json:"messages"`
	SkippedMessages []struct {
		Reaction  string    `json:"reaction"`
		Message   int64     `json:"message"`
		MessageID string    `json:"message_id"`
		Topic     string    `json:"topic"`
		Partition int       `json:"partition"`
		Offset    int64     `json:"offset"`
		EventID   *string   `json:"event_id"`
		Category  string    `json:"category"`
		ID        string    `json:"id"`
		Type      string    `json:"type"`
		Reason    string    `json:"reason"`
		At        time.Time `json:"at"`
	} `json:"skipped_messages"`
}

type shown struct {
	Projection string `json:"projection"`
	Event      struct {
		header
		Data       json.RawMessage `json:"data"`
		DataBase64 []byte          `json:"data_base64"`
		Metadata   es.Metadata     `json:"metadata"`
	} `json:"event"`
	Parked []parkedUnit `json:"parked"`
}

type retried struct {
	Projection string `json:"projection"`
	Applied    int    `json:"applied"`
	Parked     int    `json:"parked"`
}

// unlucky is what no row takes before the program is mended.
const unlucky = 13

// poisoned are balances that cannot apply some events.
func poisoned(mended *atomic.Bool) projections.Fold[Balance, Event] {
	def := balances("account", 1)
	apply := def.Apply
	def.Apply = nil
	def.TryApply = func(b *Balance, e Event, r es.Recorded) error {
		apply(b, e, r)
		if d, ok := e.(Deposited); ok && d.Cents == unlucky && !mended.Load() {
			return errors.New("13 is unlucky")
		}
		return nil
	}
	return def
}

func (w *world) appendData(id string, data es.EventData) es.RecordedEvent {
	w.Helper()
	data.ID = es.NewID()
	recorded, err := w.store.Append(w.Context(), es.StreamID{Category: "account", ID: id}, es.Any, data)
	if err != nil {
		w.Fatal(err)
	}
	return recorded[0]
}

func (w *world) deadLetters(names ...string) (list deadLetters) {
	w.Helper()
	w.must(append([]string{"dead-letters", "list", "-o", "json"}, names...)...).into(&list)
	return list
}

// lastLine is the error, below the logs.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// parked is what is parked, in short.
func (w *world) parked(names ...string) string {
	w.Helper()
	text := ""
	for _, p := range w.deadLetters(names...).Parked {
		text += fmt.Sprintf("%s %s %s %s/%s.%d %q behind %d tried %d;", p.Projection, p.State, p.Key, p.Event.Category, p.Event.ID, p.Event.Version, p.Error, p.Behind, p.Attempts)
	}
	return text
}

func TestDeadLetters_lists_by_sequence_what_is_parked_and_what_is_skipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t).with(poisoned(new(atomic.Bool)))
	w.run("dead-letters", "list", "balances").exits(command.ExitNotFound).has(`no builds of "balances"`)
	w.must("dead-letters", "list").has("Nothing is parked.", "!SKIPPED")
	if list := w.deadLetters(); list.Parked == nil || list.Skipped == nil {
		t.Errorf("%+v", list)
	}
	first := w.append("a-1", Deposited{unlucky})
	w.append("a-2", Deposited{unlucky})
	w.append("a-1", Deposited{2})
	w.append("a-3", Deposited{3})
	broken := w.appendData("a-3", es.EventData{Type: "account.deposited", Data: []byte(`{"Cents":"many"}`)})
	w.rebuild("balances", 1)

	const one, two = `balances live a-1 account/a-1.1 "13 is unlucky" behind 0 tried 1;balances live a-1 account/a-1.2 "" behind 1 tried 0;`, `balances live a-2 account/a-2.1 "13 is unlucky" behind 0 tried 1;`
	got := w.parked()
	if !strings.HasPrefix(got, one+two+"balances live  account/a-3.2 ") || w.parked("balances") != got {
		t.Errorf("%s", got)
	}
	list := w.deadLetters()
	if p := list.Parked[0]; p.Build != 1 || p.Version != 1 || p.Event.EventID != first.ID || p.Event.Position != first.Position || p.Event.Type != "account.deposited" || !p.Event.RecordedAt.Equal(first.RecordedAt) ||
		p.Event.ContentType != es.JSONContentType || p.FirstAt.IsZero() || p.LastAt.Before(p.FirstAt) {
		t.Errorf("%+v", p)
	}
	if p := list.Parked[3]; p.Event.EventID != broken.ID || p.Event.Schema != 1 || p.Error == "" || p.Key != "" {
		t.Errorf("%+v", p)
	}
	w.must("dead-letters", "list").has("PROJECTION", "account/a-1", "13 is unlucky", "waits behind version 1", first.ID.String(), "!SKIPPED")

	w.must("dead-letters", "skip", "balances", broken.ID.String(), "--reason", "an old\nmistake")
	bare := *w
	bare.service = command.Service{Name: "asof"} // what it lists needs no definition
	for _, world := range []*world{w, &bare} {
		if got := world.parked("balances"); got != one+two {
			t.Error(got)
		}
		list := world.deadLetters("balances")
		if len(list.Skipped) != 1 || list.Skipped[0].Projection != "balances" || list.Skipped[0].EventID != broken.ID || list.Skipped[0].Key != "" || list.Skipped[0].Reason != "an old\nmistake" || list.Skipped[0].At.IsZero() {
			t.Errorf("%+v", list.Skipped)
		}
		world.must("dead-letters", "list").has("SKIPPED", broken.ID.String(), "an old mistake")
		world.run("dead-letters", "list", "balances", "nope").exits(command.ExitNotFound).has("there are those of balances")
	}
	w.rebuild("balances", 1) // and the old build is kept, with what it has parked
	if got := w.parked(); got != one+two+strings.ReplaceAll(one+two, "live", "kept") {
		t.Error(got)
	}
	other := poisoned(new(atomic.Bool))
	other.Name = "others"
	w.with(other).rebuild("others", 1)
	if got := w.deadLetters("others"); len(got.Skipped) != 0 || len(got.Parked) != 4 {
		t.Errorf("%+v", got)
	}
}

func TestDeadLetters_shows_an_event_with_its_payload(t *testing.T) {
	t.Parallel()
	w := newWorld(t).with(poisoned(new(atomic.Bool)))
	inJSON := w.appendData("a-1", es.EventData{Type: "account.deposited", Data: []byte(`{"Cents":13, "Note":"<12345678901234567890>"}`), Metadata: es.Metadata{CorrelationID: "request-7"}})
	behind := w.append("a-1", Deposited{2})
	inText := w.appendData("a-2", es.EventData{Type: "account.deposited", ContentType: "text/plain", Data: []byte("{\"Cents\":\nbut not JSON")})
	inBytes := w.appendData("a-3", es.EventData{Type: "account.deposited", ContentType: "application/x-thing", Data: []byte{0, 1, 2, 0xff}})
	w.rebuild("balances", 2)

	show := func(e es.RecordedEvent) (v shown) {
		t.Helper()
		w.must("dead-letters", "show", "balances", e.ID.String(), "-o", "json").into(&v)
		if v.Projection != "balances" || v.Event.EventID != e.ID || v.Event.Position != e.Position || v.Event.Version != e.Version || len(v.Parked) != 2 || v.Parked[0].State != "live" || v.Parked[1].State != "kept" {
			t.Errorf("%+v", v)
		}
		return v
	}
	v := show(inJSON)
	var compact bytes.Buffer
	if err := json.Compact(&compact, v.Event.Data); err != nil || compact.String() != `{"Cents":13,"Note":"<12345678901234567890>"}` || v.Event.DataBase64 != nil || v.Event.Metadata.CorrelationID != "request-7" {
		t.Errorf("%v: %+v", err, v)
	}
	if u := v.Parked[0]; u.Key != "a-1" || u.Error != "13 is unlucky" || u.Behind != 0 || u.Attempts != 1 || u.Build != 2 || u.Version != 1 {
		t.Errorf("%+v", u)
	}
	if u := show(behind).Parked[0]; u.Error != "" || u.Behind != 1 || u.Attempts != 0 {
		t.Errorf("%+v", u)
	}
	if v := show(inText); string(v.Event.DataBase64) != string(inText.Data) || v.Event.Data != nil {
		t.Errorf("%+v", v.Event)
	}
	if v := show(inBytes); string(v.Event.DataBase64) != string(inBytes.Data) || v.Event.ContentType != "application/x-thing" {
		t.Errorf("%+v", v.Event)
	}
	text := func(e es.RecordedEvent, want ...string) {
		t.Helper()
		w.must("dead-letters", "show", "balances", e.ID.String()).has(append(want, e.ID.String(), "account.deposited", "account/"+e.Stream.ID)...)
	}
	text(inJSON, "13 is unlucky", "request-7", "live", "kept", "payload, application/json\n  {\n    \"Cents\": 13,\n    \"Note\": \"<12345678901234567890>\"\n  }\n")
	text(behind, "waits behind version 1", "!metadata")
	text(inText, "payload, text/plain\n  {\"Cents\":\n  but not JSON\n")
	text(inBytes, "payload, application/x-thing\n  AAEC/w==\n")

	applied := w.append("a-4", Deposited{1})
	w.run("dead-letters", "show", "balances", applied.ID.String()).exits(command.ExitNotFound).has("balances has not parked event " + applied.ID.String())
	w.run("dead-letters", "show", "nope", inText.ID.String()).exits(command.ExitNotFound).has(`no builds of "nope": there are those of balances`)
	w.run("dead-letters", "show", "balances", "first").exits(command.ExitUsage).has(`event "first" is no id`)
	w.must("dead-letters", "skip", "balances", inText.ID.String(), "--reason", "garbage")
	w.run("dead-letters", "show", "balances", inText.ID.String()).exits(command.ExitNotFound).has("but skips it since", "garbage")
}

func TestDeadLetters_retry_says_what_came_of_it_and_fails_when_it_is_parked_again(t *testing.T) {
	t.Parallel()
	mended := new(atomic.Bool)
	w := newWorld(t).with(poisoned(mended))
	first := w.append("a-1", Deposited{unlucky})
	second := w.append("a-1", Deposited{1})
	w.append("a-1", Deposited{2})
	w.append("a-2", Deposited{unlucky}, Deposited{5})
	w.append("a-3", Deposited{unlucky})
	retry := func(args ...string) *outcome {
		t.Helper()
		return w.run(append([]string{"dead-letters", "retry"}, args...)...)
	}
	retry("balances", "--all").exits(command.ExitNotFound).has("not built yet")
	w.rebuild("balances", 1)
	all := w.parked()

	retry("balances").exits(command.ExitUsage).has("say what to retry")
	retry("balances", "--event", "").exits(command.ExitUsage).has("is empty")
	retry("balances", "--all=false").exits(command.ExitUsage).has("say what to retry")
	retry("balances", "--all", "--event", first.ID.String()).exits(command.ExitUsage).has("none of the others can be")
	retry("balances", "--all", "--key", "a-1").exits(command.ExitUsage).has("give --stream too")
	retry("balances", "--event", "first").exits(command.ExitUsage).has(`event "first" is no id`)
	retry("balances", "--stream", "account").exits(command.ExitUsage).has("category/id")
	retry("--all").exits(command.ExitUsage).has("ledger dead-letters retry NAME")
	retry("nope", "--all").exits(command.ExitNotFound).has(`no projection "nope": known are balances`)
	retry("balances", "--event", es.NewID().String()).exits(command.ExitNotFound).has("has not parked event")
	retry("balances", "--event", second.ID.String()).exits(command.ExitBusy).has("waits behind version 1")
	retry("balances", "--stream", "account/a-4").exits(command.ExitNotFound).has("parked nothing of account/a-4")
	retry("balances", "--stream", "account/a-1", "--key", "a-2").exits(command.ExitNotFound).has("parked nothing of account/a-1")
	retry("balances", "--stream", "account/a-1", "--key", "").exits(command.ExitNotFound).has("parked nothing of account/a-1")
	bare := *w
	bare.service = command.Service{Name: "asof"}
	bare.run("dead-letters", "retry", "balances", "--all").exits(command.ExitNotFound).has("the service's own command")
	if got := w.parked(); got != all {
		t.Fatalf("what is refused has changed something: %s", got)
	}

	o := retry("balances", "--event", first.ID.String(), "-o", "json").exits(command.ExitFailure)
	var r retried
	var f failure
	if o.into(&r); r != (retried{"balances", 0, 1}) {
		t.Errorf("%+v", r)
	}
	if err := json.Unmarshal([]byte(lastLine(o.err)), &f); err != nil || f.Error.Code != command.ExitFailure || !strings.Contains(f.Error.Message, "dead-letters list balances") {
		t.Errorf("%v in %s", err, o.err)
	}
	retry("balances", "--all").exits(command.ExitFailure).has("balances: 0 applied, 6 parked again", "6 of what was tried is parked again")
	if got := w.parked(); strings.Count(got, "tried 3;") != 1 || strings.Count(got, "tried 2;") != 2 {
		t.Error(got)
	}

	mended.Store(true)
	w.must("dead-letters", "retry", "balances", "--event", first.ID.String()).has("balances: 1 applied, 0 parked again")
	if got := w.parked(); !strings.HasPrefix(got, `balances live a-1 account/a-1.2 "" behind 0 tried 0;balances live a-1 account/a-1.3 "" behind 2`) {
		t.Error(got)
	}
	w.must("dead-letters", "list").has("retry it")
	w.must("dead-letters", "retry", "balances", "--stream", "account/a-1", "--key", "a-1", "--key", "a-2", "-o", "json").into(&r)
	if r != (retried{"balances", 2, 0}) {
		t.Errorf("%+v", r)
	}
	w.exec(`update asof.builds set kind = 'kafka', source = 'kafka account'`) // no brokers are needed
	w.must("dead-letters", "retry", "balances", "--stream", "account/a-2").has("2 applied")
	w.must("dead-letters", "retry", "balances", "--all").has("1 applied")
	w.must("dead-letters", "retry", "balances", "--all").has("balances: nothing was parked")
	if got := w.cents("a-1") + w.cents("a-2") + w.cents("a-3"); got != 3*unlucky+1+2+5 {
		t.Errorf("the rows have %d", got)
	}
}

func TestDeadLetters_skip_leaves_an_event_out_for_good(t *testing.T) {
	t.Parallel()
	w := newWorld(t).with(poisoned(new(atomic.Bool)))
	applied := w.append("a-1", Deposited{1})
	bad := w.append("a-1", Deposited{unlucky})
	w.append("a-1", Deposited{2})
	worse := w.append("a-1", Deposited{unlucky})
	w.append("a-1", Deposited{4})
	skip := func(args ...string) *outcome {
		t.Helper()
		return w.run(append([]string{"dead-letters", "skip"}, args...)...)
	}
	skip("balances", bad.ID.String(), "--reason", "no").exits(command.ExitNotFound).has("not built yet")
	w.rebuild("balances", 1)
	all := w.parked()
	skip("balances", bad.ID.String()).exits(command.ExitUsage).has(`"reason" not set`)
	skip("balances", bad.ID.String(), "--reason", " ").exits(command.ExitUsage).has("say why")
	skip("balances", "--reason", "no").exits(command.ExitUsage).has("ledger dead-letters skip NAME EVENT")
	skip("balances", "second", "--reason", "no").exits(command.ExitUsage).has(`event "second" is no id`)
	skip("nope", bad.ID.String(), "--reason", "no").exits(command.ExitNotFound).has(`no projection "nope": known are balances`)
	skip("balances", es.NewID().String(), "--reason", "no").exits(command.ExitNotFound).has("neither the log nor a build")
	skip("balances", applied.ID.String(), "--reason", "no").exits(command.ExitBusy).has("append another event")
	if got := w.parked(); got != all || len(w.deadLetters().Skipped) != 0 {
		t.Fatalf("what is refused has changed something: %s", got)
	}

	skip("balances", bad.ID.String(), "--reason", "an old mistake").exits(command.ExitOK).has("balances leaves out event "+bad.ID.String()+": an old mistake", "of what waited behind it: 1 applied, 2 parked again")
	var v struct {
		Projection string    `json:"projection"`
		EventID    uuid.UUID `json:"event_id"`
		Reason     string    `json:"reason"`
		Applied    int       `json:"applied"`
		Parked     int       `json:"parked"`
	}
	w.must("dead-letters", "skip", "balances", worse.ID.String(), "--reason", "another", "-o", "json").into(&v)
	if v.Projection != "balances" || v.EventID != worse.ID || v.Reason != "another" || v.Applied != 1 || v.Parked != 0 {
		t.Errorf("%+v", v)
	}
	w.must("dead-letters", "list").has("Nothing is parked.", "an old mistake", "another")
	for range 2 {
		if got := w.cents("a-1"); got != 7 {
			t.Errorf("the row has %d", got)
		}
		w.rebuild("balances", 1)
	}
}

// A command that is given the database of another service leaves it alone.
func TestDeadLetters_of_another_service_are_not_retried_or_skipped(t *testing.T) {
	t.Parallel()
	mended := new(atomic.Bool)
	w := newWorld(t).with(poisoned(mended))
	bad := w.append("a-1", Deposited{unlucky})
	w.rebuild("balances", 1)
	mended.Store(true)
	other := *w
	other.service = service("order")
	other.run("dead-letters", "retry", "balances", "--all").exits(command.ExitUsage).has("another service's")
	other.run("dead-letters", "skip", "balances", bad.ID.String(), "--reason", "no").exits(command.ExitUsage).has("another service's")
	if list := w.deadLetters(); len(list.Parked) != 1 || len(list.Skipped) != 0 {
		t.Errorf("%+v", list)
	}
}

func TestStatus_says_what_is_parked(t *testing.T) {
	t.Parallel()
	mended := new(atomic.Bool)
	w := newWorld(t).with(poisoned(mended))
	w.append("a-1", Deposited{unlucky}, Deposited{1})
	w.rebuild("balances", 1)
	if p := w.status().Projections[0]; p.Parked != 2 || p.LagEvents != 0 {
		t.Errorf("%+v", p)
	}
	w.must("status").has("PARKED", "balances lacks what is parked: see `asof dead-letters list balances`")
	mended.Store(true)
	w.must("dead-letters", "retry", "balances", "--all")
	if p := w.status().Projections[0]; p.Parked != 0 {
		t.Errorf("%+v", p)
	}
	w.must("status").has("PARKED", "!dead-letters")
}
