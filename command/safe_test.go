package command_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es"
)

// nasty is what a terminal obeys or hides: C0, DEL and C1 (as UTF-8, and as the bare
// byte that is CSI), marks that turn the direction, a tag and a line separator.
const nasty = "<\x1b[31m\x07\x7f\u009b31m\x9b31m\u202e\u2066\u200b\ufeff\U000e0041\u2028\u061c>"

// harmless wants an output that shows all and does nothing.
func (o *outcome) harmless() *outcome {
	o.Helper()
	for text := o.out + o.err; len(text) > 0; {
		r, size := utf8.DecodeRuneInString(text)
		if r != '\n' && (r == utf8.RuneError && size == 1 || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)) {
			o.Errorf("%v: the terminal gets %q (%U) in\n%q", o.args, text[:size], r, o.out+o.err)
			return o
		}
		text = text[size:]
	}
	return o
}

func TestText_of_others_does_nothing_to_the_terminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const id = "a-\u202e1\u2066"
	stream := es.StreamID{Category: "account", ID: id}
	inJSON := `{"Owner":"` + strings.NewReplacer("\x1b", "", "\x07", "").Replace(strings.ToValidUTF8(nasty, "")) + `", "a":` + "\n\t" + `1}`
	for i, e := range []es.EventData{
		{Type: "account.opened", Data: []byte(inJSON)},
		{Type: "note.taken", Data: []byte(nasty), ContentType: "text/plain"},
		{Type: "account.deposited", Data: []byte(`{}`), Metadata: es.Metadata{CorrelationID: "c\u202e", Extra: map[string]string{"who": "\u202e"}}},
	} {
		e.ID = es.NewID()
		if _, err := w.store.Append(t.Context(), stream, es.Any, e); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	w.must("log").harmless().has(`account/a-\u202e1\u2066`, `\u007f\u009b31m31m\u202e`, `\udb40\udc41`, `note.taken`)
	w.must("log", "account", id).harmless()
	w.must("state", "account", id, "--version", "1").harmless().has(`account/a-\u202e1`, `"owner": "<`, `\u202e`)
	w.run("state", "account", id).exits(command.ExitFailure).harmless().has(`note.taken`)
	w.run("state", "account", "b"+id).exits(command.ExitNotFound).harmless()
	w.run("state", "order\u202e", id).notDone().harmless()
	w.run("\u202e\u009b").exits(command.ExitUsage).harmless()
	w.run("log", "--limit", nasty).exits(command.ExitUsage).harmless()

	w.run("rebuild", "balances").exits(command.ExitOK).harmless()
	stored := strings.ToValidUTF8(nasty, "") + "\nforged: line"
	letter := es.EventData{ID: es.NewID(), Type: "account.deposited", Data: []byte("\u202e\nforged: line"), ContentType: "text/plain"}
	if _, err := w.store.Append(t.Context(), stream, es.Any, letter); err != nil {
		t.Fatal(err)
	}
	w.run("rebuild", "balances").exits(command.ExitOK).harmless()
	w.exec("update asof.parked set error = $1, key = $1, key_hash = sha256(convert_to($1, 'UTF8')), content_type = $1 where type = 'account.deposited'", stored)
	w.exec("insert into asof.skips (name, event_id, key, key_hash, reason) values ('balances', gen_random_uuid(), $1, '', $1)", stored)
	list, show := w.must("dead-letters", "list").harmless().has(`\u001b[31m`, `a-\u202e1`, "SKIPPED"), w.must("dead-letters", "show", "balances", letter.ID.String()).harmless().has("payload, <")
	for line := range strings.Lines(list.out + show.out) {
		if strings.HasPrefix(line, "forged") {
			t.Errorf("what is parked makes a line of its own: %q", line)
		}
	}
	w.run("dead-letters", "retry", "balances", "--all").notDone().harmless()
	w.run("dead-letters", "skip", "balances", letter.ID.String(), "--reason", nasty).harmless()
	w.run("dead-letters", "show", nasty, nasty).exits(command.ExitUsage).harmless()
	w.service.Projections = nil
	w.exec("update asof.builds set failure = $1, name = 'b' || $1", stored)
	w.exec("update asof.relay set failure = $1, failed_at = now(), leader = $1, lease_until = now() + interval '1 hour'", stored)
	w.must("builds").harmless()
	w.run("verify", "b"+stored).harmless()
	w.run("drop", "b"+stored, "1").notDone().harmless()
	for line := range strings.Lines(w.must("status").harmless().has(`\u001b[31m`).out) {
		if strings.HasPrefix(line, "forged") {
			t.Errorf("a failure makes a line of its own: %q", line)
		}
	}
}

// JSON stays JSON: what reads it shows it as it likes.
func TestJSON_of_others_is_printed_as_it_is(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const data = `{"Owner":"\u202e <a&b>` + "\u202e\u009b" + `"}`
	e := es.EventData{ID: es.NewID(), Type: "account.opened", Data: []byte(data)}
	if _, err := w.store.Append(t.Context(), es.StreamID{Category: "account", ID: "a-1"}, es.NoStream, e); err != nil {
		t.Fatal(err)
	}
	if got := w.must("log", "-o", "json").has(data).events()[0]; string(got.Data) != data {
		t.Errorf("%s", got.Data)
	}
}

// What a service's own commands print, return and log goes the same way.
func TestText_of_the_services_own_commands_does_nothing_to_the_terminal(t *testing.T) {
	t.Parallel()
	w := emptyWorld(t)
	run := func(f func(s *command.Session) error) *outcome {
		root := command.New(w.service)
		root.AddCommand(&cobra.Command{Use: "own", RunE: w.service.Plain(func(_ context.Context, s *command.Session, _ []string) error { return f(s) })})
		out, log := newBuffer(), newBuffer()
		code := command.Run(t.Context(), root, command.Invocation{Args: []string{"own"}, Env: w.env, Stdout: out, Stderr: log})
		return &outcome{TB: t, args: []string{"own"}, code: code, out: out.String(), err: log.String()}
	}
	run(func(s *command.Session) error { return s.Out.Line(line(nasty)) }).exits(0).harmless()
	run(func(s *command.Session) error { return s.Out.Line(line("a\x9b31m \ufffd \u200d")) }).exits(0).has("a\\x9b31m \ufffd \u200d")
	run(func(s *command.Session) error { return s.Out.Document(pieces{}) }).exits(0).harmless().has("aäb")
	run(func(s *command.Session) error {
		s.Log.Info(nasty, nasty, nasty, "error", errors.New(nasty), slog.Group(nasty, "a", []byte(nasty), "b", fmt.Stringer(nil)))
		return nil
	}).exits(0).harmless()
	o := run(func(*command.Session) error { return fmt.Errorf("it failed:\nledger own: all is well%s", nasty) }).exits(command.ExitFailure).harmless()
	if strings.Contains(o.err, "\nledger own: all") {
		t.Errorf("an error forges a line: %q", o.err)
	}
}

// pieces writes a character in two parts.
type pieces struct{}

func (pieces) WriteText(w io.Writer) error {
	for _, part := range []string{"a\xc3", "\xa4b", "\u202e"[:1], "\u202e"[1:]} {
		if _, err := io.WriteString(w, part); err != nil {
			return err
		}
	}
	return nil
}
