package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/reactions"
)

type parkedMessage struct {
	Reaction  string          `json:"reaction"`
	Message   int64           `json:"message"`
	MessageID string          `json:"message_id"`
	Topic     string          `json:"topic"`
	Partition int             `json:"partition"`
	Offset    int64           `json:"offset"`
	Time      time.Time       `json:"time"`
	Key       json.RawMessage `json:"key"`
	EventID   *string         `json:"event_id"`
	Category  string          `json:"category"`
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Error     string          `json:"error"`
	Behind    int64           `json:"behind"`
	Attempts  int             `json:"attempts"`
	FirstAt   time.Time       `json:"first_at"`
	LastAt    time.Time       `json:"last_at"`
}

// reacting gives the service a reaction of a name to deposits, which cannot take some.
func (w *world) reacting(name string, mended *atomic.Bool) *reactions.Reactor {
	of := func(store *pgstore.Store) *reactions.Reactor {
		return reactions.New(reactions.Reaction[Event]{
			Name: name, Store: store, Topics: []string{"account"}, Codec: codec(), Tries: 1, MostParked: 5, Log: slog.New(slog.DiscardHandler),
			React: func(_ context.Context, e Event, _ es.Recorded, _ *pgstore.Tx) error {
				if d, ok := e.(Deposited); ok && d.Cents == unlucky && !mended.Load() {
					return errors.New("13 is unlucky")
				}
				return nil
			},
		})
	}
	w.service.Reactions = func(s *command.Session) []*reactions.Reactor { return []*reactions.Reactor{of(s.Store)} }
	return of(w.store)
}

// hears has a reaction take deposits of accounts.
func (w *world) hears(r *reactions.Reactor, id string, version, cents int, offset int64) (event string) {
	w.Helper()
	e := es.RecordedEvent{Data: fmt.Appendf(nil, `{"Cents":%d}`, cents)}
	e.ID, e.Type, e.Schema, e.Stream, e.Version = es.NewID(), "account.deposited", 1, es.StreamID{Category: "account", ID: id}, es.Version(version)
	m := kafka.FromEvent("/bank", "account", e)
	m.Offset, m.Time = offset, time.Now()
	if err := r.Deliver(w.Context(), m); err != nil {
		w.Fatal(err)
	}
	return e.ID.String()
}

// messages are those that are parked, in short.
func (w *world) messages(names ...string) (text string) {
	w.Helper()
	for _, m := range w.deadLetters(names...).Messages {
		text += fmt.Sprintf("%s %s/%s@%d %q behind %d tried %d;", m.Reaction, m.Category, m.ID, m.Offset, m.Error, m.Behind, m.Attempts)
	}
	return text
}

func TestDeadLetters_of_a_reaction_are_listed_shown_retried_and_skipped(t *testing.T) {
	t.Parallel()
	mended := new(atomic.Bool)
	w := newWorld(t)
	r := w.reacting("bonus", mended)
	first := w.hears(r, "a-1", 1, unlucky, 1)
	second := w.hears(r, "a-1", 2, 5, 2)
	foreign := kafka.Message{Topic: "account", Offset: 3, Key: []byte("\xff"), Value: []byte("\x00"), Time: time.UnixMilli(1 << 60), Headers: []kafka.Header{{Key: "x", Value: []byte("\x1b[31m")}}}
	if err := r.Deliver(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	bad := w.hears(r, "a-2", 1, unlucky, 4)

	list := w.deadLetters()
	if len(list.Messages) != 4 || list.SkippedMessages == nil || len(list.Parked) != 0 {
		t.Fatalf("%+v", list)
	}
	if m := list.Messages[0]; m.Reaction != "bonus" || m.MessageID != "ce:5:/bank:"+first || m.Topic != "account" || m.Offset != 1 || m.EventID == nil || *m.EventID != first || m.Type != "account.deposited" ||
		string(m.Key) != `"a-1"` || m.Error != "13 is unlucky" || m.Attempts != 1 || m.FirstAt.IsZero() || m.LastAt.IsZero() || m.Time.IsZero() {
		t.Errorf("%+v", m)
	}
	if m := list.Messages[2]; m.EventID != nil || string(m.Key) == "null" || !m.Time.IsZero() || m.Category != "" {
		t.Errorf("%+v", m)
	}
	one := fmt.Sprintf(`bonus account/a-1@1 "13 is unlucky" behind 0 tried 1;bonus account/a-1@2 "" behind %d tried 0;`, list.Messages[0].Message)
	if got := w.messages("bonus"); got != w.messages() || len(got) < len(one) || got[:len(one)] != one {
		t.Error(got)
	}
	w.must("dead-letters", "list").harmless().has("REACTION", "account/a-1", "13 is unlucky", fmt.Sprint("waits behind message ", list.Messages[0].Message), "!Nothing is parked", "!PROJECTION")
	bare := *w
	bare.service = command.Service{Name: "asof"} // what it lists needs no code
	if got := bare.messages("bonus", "reaction:bonus"); got != w.messages() {
		t.Error(got)
	}
	w.run("dead-letters", "list", "reaction:nope").exits(command.ExitNotFound).has(`no reaction "nope"`, "bonus")
	w.run("dead-letters", "list", "projection:bonus").exits(command.ExitNotFound).has("no builds")
	bare.run("dead-letters", "retry", "bonus", "--all").exits(command.ExitNotFound).has("the service's own command")
	w.run("dead-letters", "retry", "reaction:nope", "--all").exits(command.ExitNotFound).has(`no reaction "nope": known are bonus`)

	var shown struct {
		parkedMessage
		Headers []struct {
			Name  string          `json:"name"`
			Value json.RawMessage `json:"value"`
		} `json:"headers"`
		Data       json.RawMessage `json:"data"`
		DataBase64 []byte          `json:"data_base64"`
	}
	bare.must("dead-letters", "show", "bonus", first, "-o", "json").into(&shown)
	if shown.Message != list.Messages[0].Message || string(shown.Data) == "" || len(shown.Headers) < 10 {
		t.Errorf("%+v", shown)
	}
	w.must("dead-letters", "show", "bonus", second).harmless().has("waits behind message", "ce_subject", `"Cents": 5`)
	w.must("dead-letters", "show", "bonus", fmt.Sprint(list.Messages[2].Message)).harmless().has("AA==", "/w==")
	w.run("dead-letters", "show", "bonus", "third").exits(command.ExitUsage).has("neither a number nor an event's id")
	w.run("dead-letters", "show", "bonus", "99").exits(command.ExitNotFound).has("no message 99")
	w.run("dead-letters", "show", "reaction:nope", "1").exits(command.ExitNotFound).has(`no reaction "nope"`)

	retry := func(args ...string) *outcome {
		t.Helper()
		return w.run(append([]string{"dead-letters", "retry", "bonus"}, args...)...)
	}
	retry().exits(command.ExitUsage).has("say what to retry")
	retry("--event", "").exits(command.ExitUsage).has("is empty")
	retry("--stream", "").exits(command.ExitUsage).has("is empty")
	retry("--event", "", "--all=false").exits(command.ExitUsage)
	retry("--key", "k", "--all").exits(command.ExitUsage).has("leave the others out")
	retry("--key", "k", "--key", "l").exits(command.ExitUsage).has("give one")
	retry("--event", second).exits(command.ExitBusy).has("waits behind")
	retry("--event", es.NewID().String()).exits(command.ExitNotFound).has("has not parked event")
	retry("--stream", "account").exits(command.ExitUsage).has("category/id")
	retry("--stream", "account/a-9").exits(command.ExitNotFound).has("parked nothing of stream account/a-9")
	retry("--key", "k").exits(command.ExitNotFound).has("parked nothing of key")
	retry("--event", first).exits(command.ExitFailure).has("bonus: 0 reacted to, 2 parked again", "dead-letters list bonus")
	mended.Store(true)
	var done struct {
		Reaction string `json:"reaction"`
		Reacted  int    `json:"reacted"`
		Parked   int    `json:"parked"`
	}
	if retry("--stream", "account/a-1", "-o", "json").exits(command.ExitOK).into(&done); done.Reaction != "bonus" || done.Reacted != 2 || done.Parked != 0 {
		t.Errorf("%+v", done)
	}
	mended.Store(false)
	w.hears(r, "a-2", 2, 5, 5)
	skip := func(args ...string) *outcome {
		t.Helper()
		return w.run(append([]string{"dead-letters", "skip", "bonus"}, args...)...)
	}
	skip(bad).exits(command.ExitUsage).has(`"reason" not set`)
	skip(bad, "--reason", " ").exits(command.ExitUsage).has("say why")
	other := *w
	other.service.Aggregates, other.service.Projections = service("order").Aggregates, nil
	w.append("a-1", Deposited{1})
	other.run("dead-letters", "skip", "bonus", bad, "--reason", "no").exits(command.ExitUsage).has("another service's")
	skip(bad, "--reason", "an old mistake").exits(command.ExitOK).has("bonus leaves out message", "an old mistake", "of what waited behind it: 1 reacted to, 0 parked again")
	skip(fmt.Sprint(list.Messages[2].Message), "--reason", "not ours", "-o", "json").exits(command.ExitOK)
	w.must("dead-letters", "list", "bonus").harmless().has("Nothing is parked.", "SKIPPED", "an old mistake", "not ours")
	if list := w.deadLetters("bonus"); len(list.SkippedMessages) != 2 || *list.SkippedMessages[1].EventID != bad || list.SkippedMessages[1].At.IsZero() || list.SkippedMessages[0].EventID != nil {
		t.Errorf("%+v", list.SkippedMessages)
	}
	retry("--all").exits(command.ExitOK).has("bonus: nothing was parked")
}

// A name that is both says which it means; others are what there is.
func TestDeadLetters_of_a_read_model_and_a_reaction_of_one_name(t *testing.T) {
	t.Parallel()
	mended := new(atomic.Bool)
	w := newWorld(t).with(poisoned(mended))
	r := w.reacting("balances", mended)
	w.append("a-1", Deposited{unlucky})
	w.rebuild("balances", 1)
	event := w.hears(r, "a-1", 1, unlucky, 1)
	for _, args := range [][]string{{"retry", "balances", "--all"}, {"show", "balances", event}, {"skip", "balances", event, "--reason", "no"}} {
		w.run(append([]string{"dead-letters"}, args...)...).exits(command.ExitUsage).has("is a read model and a reaction", "projection:balances", "reaction:balances")
	}
	if list := w.deadLetters("balances"); len(list.Parked) != 1 || len(list.Messages) != 1 {
		t.Errorf("%+v", list)
	}
	if list := w.deadLetters("projection:balances"); len(list.Parked) != 1 || len(list.Messages) != 0 {
		t.Errorf("%+v", list)
	}
	if list := w.deadLetters("reaction:balances"); len(list.Parked) != 0 || len(list.Messages) != 1 {
		t.Errorf("%+v", list)
	}
	w.must("dead-letters", "list").has("PROJECTION", "REACTION")
	mended.Store(true)
	w.must("dead-letters", "show", "reaction:balances", event).has("13 is unlucky")
	w.must("dead-letters", "retry", "projection:balances", "--all").has("balances: 1 applied")
	w.must("dead-letters", "skip", "reaction:balances", event, "--reason", "no").has("balances leaves out message")
}

func TestStatus_says_how_reactions_stand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("status").has("!REACTION")
	r := w.reacting("bonus", new(atomic.Bool))
	w.must("status").has("REACTION", "bonus", "!dead-letters")
	for i := range 5 {
		w.hears(r, fmt.Sprint(i), 1, unlucky, int64(i))
	}
	e := es.RecordedEvent{Data: []byte(`{"Cents":13}`)}
	e.ID, e.Type, e.Stream, e.Version = es.NewID(), "account.deposited", es.StreamID{Category: "account", ID: "6"}, 1
	if err := r.Deliver(t.Context(), kafka.FromEvent("/bank", "account", e)); !errors.Is(err, reactions.ErrTooManyParked) {
		t.Fatal(err)
	}
	bare := *w
	bare.service.Reactions = nil
	for _, world := range []*world{w, &bare} {
		if list := world.status().Reactions; len(list) != 1 || list[0].Name != "bonus" || list[0].Parked != 5 || list[0].Oldest == nil || len(list[0].Waits) != 1 || !list[0].Waits[0].Stopped || list[0].Waits[0].Error == "" {
			t.Errorf("%+v", list)
		}
		world.must("status").harmless().has("bonus has ended at account partition 0 offset 0", "too many messages are parked", "see `asof dead-letters list bonus`")
	}
}
