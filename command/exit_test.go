package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
)

type failure struct {
	Error struct {
		Kind    string `json:"kind"`
		Code    int    `json:"code"`
		Message string `json:"message"`
		Command string `json:"command"`
	} `json:"error"`
}

// Every class of error has its code and its kind, as text and as JSON.
func TestErrors_have_their_code_and_their_kind(t *testing.T) {
	t.Parallel()
	closed := "postgres://u:secret@" + closedPort(t) + "/x"
	brokers := strings.Join(embeddedtest.Brokers(t), ",")
	for name, test := range map[string]struct {
		url  string // else that of a migrated database
		args string
		code int
		kind string
		text string
	}{
		"unknown command":       {args: "rebiuld", code: 2, kind: "usage", text: "did you mean rebuild"},
		"unknown subcommand":    {args: "migrate sideways", code: 2, kind: "usage", text: "sideways"},
		"unknown flag":          {args: "status --nope", code: 2, kind: "usage", text: "--nope"},
		"malformed flag":        {args: "log --limit many", code: 2, kind: "usage", text: "many"},
		"unknown output":        {args: "status --output=yaml", code: 2, kind: "usage", text: "text or json"},
		"too many arguments":    {args: "status now", code: 2, kind: "usage", text: "ledger status"},
		"bad time":              {args: "state account a-1 --at noon", code: 2, kind: "usage", text: "RFC 3339"},
		"bad name":              {args: "state account \x01", code: 2, kind: "usage", text: "control characters"},
		"no database":           {url: "-", args: "status", code: 2, kind: "usage", text: "DATABASE_URL"},
		"unknown projection":    {args: "rebuild nope", code: 3, kind: "not_found", text: "balances"},
		"unknown category":      {args: "state order o-1", code: 3, kind: "not_found", text: "account"},
		"missing stream":        {args: "state account a-1", code: 3, kind: "not_found", text: "account/a-1"},
		"moment not past":       {args: "state account a-1 --at 2999-01-01T00:00:00Z", code: 4, kind: "busy", text: "not in the past"},
		"unreachable database":  {url: closed, args: "status", code: 5, kind: "unreachable", text: "connection refused"},
		"migrate, unreachable":  {url: closed, args: "migrate", code: 5, kind: "unreachable", text: "connection refused"},
		"unreachable brokers":   {args: "relay --brokers " + closedPort(t), code: 5, kind: "unreachable", text: "connection refused"},
		"status without tables": {url: "empty", args: "status", code: 6, kind: "not_migrated", text: "migrate"},
		"state without tables":  {url: "empty", args: "state account a-1", code: 6, kind: "not_migrated", text: "migrate"},
		"log without tables":    {url: "empty", args: "log", code: 6, kind: "not_migrated", text: "migrate"},
		"no tables, rebuild":    {url: "empty", args: "rebuild balances", code: 6, kind: "not_migrated", text: "migrate"},
		"no tables, rollback":   {url: "empty", args: "rollback balances", code: 6, kind: "not_migrated", text: "migrate"},
		"no tables, builds":     {url: "empty", args: "builds", code: 6, kind: "not_migrated", text: "migrate"},
		"no tables, verify":     {url: "empty", args: "verify balances", code: 6, kind: "not_migrated", text: "migrate"},
		"no tables, drop":       {url: "empty", args: "drop balances 1 --yes", code: 6, kind: "not_migrated", text: "migrate"},
		"no tables, letters":    {url: "empty", args: "dead-letters list", code: 6, kind: "not_migrated", text: "migrate"},
		"no tables, a letter":   {url: "empty", args: "dead-letters show balances 01a21b0c-f53c-7b9f-b833-a7fb9cd667d4", code: 6, kind: "not_migrated", text: "migrate"},
		"no tables, retry":      {url: "empty", args: "dead-letters retry balances --all", code: 6, kind: "not_migrated", text: "migrate"},
		"no tables, skip":       {url: "empty", args: "dead-letters skip balances 01a21b0c-f53c-7b9f-b833-a7fb9cd667d4 --reason no", code: 6, kind: "not_migrated", text: "migrate"},
		"no such letters":       {args: "dead-letters bury", code: 2, kind: "usage", text: "bury"},
		"no tables, project":    {url: "empty", args: "project", code: 6, kind: "not_migrated", text: "migrate"},
		"no tables, relay":      {url: "empty", args: "relay --brokers " + brokers, code: 6, kind: "not_migrated", text: "migrate"},
		"no tables, repair":     {url: "empty", args: "repair --from 0", code: 6, kind: "not_migrated", text: "migrat"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w *world
			if test.url == "" {
				w = newWorld(t)
			} else if w = emptyWorld(t); test.url != "empty" {
				w.env["DATABASE_URL"] = strings.TrimPrefix(test.url, "-")
			}
			args := strings.Split(test.args, " ")
			text := w.run(args...).exits(test.code).has(test.text, "ledger", "!secret")
			if text.out != "" || strings.Contains(text.err, "{") {
				t.Errorf("out %q, error %q", text.out, text.err)
			}
			if usage := strings.Contains(text.err, "Try: ledger"); usage != (test.code == 2) {
				t.Errorf("hint at the help: %v", usage)
			}
			args = append([]string{"--output", "json"}, args...)
			if name == "unknown output" {
				return
			}
			o := w.run(args...).exits(test.code)
			var f failure
			if err := json.Unmarshal([]byte(o.err), &f); err != nil || strings.Count(o.err, "\n") != 1 || o.out != "" {
				t.Fatalf("%v: %q, %q", err, o.err, o.out)
			}
			if f.Error.Kind != test.kind || f.Error.Code != test.code || !strings.Contains(f.Error.Message, test.text) || !strings.HasPrefix(f.Error.Command, "ledger") {
				t.Errorf("%+v", f)
			}
		})
	}
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// No way of writing an address wrong may show its password.
func TestPasswords_are_not_printed(t *testing.T) {
	t.Parallel()
	w := emptyWorld(t)
	for _, address := range []string{
		"postgres://u:geheim@127.0.0.1:port/x",
		"postgres://u:gehe%zzim-geheim@127.0.0.1:5/x",
		"postgres://u:geheim@127.0.0.1:5/x?sslmode=wat",
		"postgres://u@127.0.0.1:5/x?password=geheim&sslmode=wat",
		"postgresql://u:geheim@127.0.0.1/x?connect_timeout=long",
		"postgres://u:geh@eim-geheim@127.0.0.1:5/x?sslmode=wat",
		"postgres://u:geh@eim@127.0.0.1:5/x",
		"postgres://u:geheim/eim@127.0.0.1:5/x",
		"postgres://u:geheim?eim@127.0.0.1:5/x",
		"postgres://u:geheim eim@127.0.0.1:5/x",
		"host=127.0.0.1 password=ge'heim geheim port=5",
		"host=127.0.0.1 password=geheim geheim port=5",
		"postgres://u:geheim@127.0.0.1:5/x?pool_max_conns=many",
		"host=127.0.0.1 password=geheim port=x",
		"password='geheim",
		"u:geheim@127.0.0.1",
		"postgres//u:geheim@127.0.0.1/x",
		" postgres://u:geheim@127.0.0.1/x",
		"mysql://u:geheim@127.0.0.1/x",
	} {
		w.env["DATABASE_URL"] = address
		code := command.ExitUsage
		if address == "postgres://u:geheim?eim@127.0.0.1:5/x" { // is understood as it is meant
			code = command.ExitUnreachable
		}
		w.run("status").exits(code).has("!geheim", "!eim")
		w.run("status", "--output", "json", "--database-url", address).exits(code).has("!geheim", "!eim")
	}
	w.env["DATABASE_URL"] = "postgres://u:geheim@127.0.0.1:1/x"
	for _, args := range [][]string{ // an address where none belongs
		{"postgres://u:geheim@127.0.0.1:1/x"}, {"u:geheim@127.0.0.1"}, {"migrate", "postgres://u:geh@eim@127.0.0.1:1/x"},
		{"status", "postgres://u:geheim@127.0.0.1:1/x"}, {"status", "-database-url=postgres://u:geheim@127.0.0.1:1/x"},
		{"status", "--database-ulr=postgres://u:geheim@127.0.0.1:1/x"}, {"log", "--limit", "postgres://u:geheim@127.0.0.1:1/x"},
		{"log", "--limit", "host=x password=geheim"}, {"state", "a", "b", "--at", "postgres://u:geh@eim@127.0.0.1:1/x"},
		{"status", "--log-level", "postgres://u:geheim@127.0.0.1:1/x"},
	} {
		for _, output := range []string{"text", "json"} {
			w.run(append([]string{"-o", output}, args...)...).has("!geheim", "!eim").notDone()
		}
	}
	w.run("status").exits(command.ExitUnreachable).has("!geheim")
	w.run("--help").exits(command.ExitOK).has("!geheim")
}

// Brokers have no login, but somebody may try to give one.
func TestPasswords_of_brokers_are_not_printed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, brokers := range []string{
		"u:geheim@127.0.0.1:9092", "kafka://u:geheim@127.0.0.1:9092", "127.0.0.1:9092,u:geheim@127.0.0.1:9092", "SASL_SSL://u:geheim@127.0.0.1:9092",
		"127.0.0.1:geheim", "geheim@127.0.0.1:9092", `"u:geheim@127.0.0.1:9092`, "127.0.0.1:9092 password=geheim", "127.0.0.1:9092;geheim", "geheim",
	} {
		w.env["KAFKA_BROKERS"] = brokers
		w.run("relay").exits(command.ExitUsage).has("host:port", "!geheim")
		w.env["KAFKA_BROKERS"] = ""
		w.run("relay", "--output", "json", "--brokers", brokers).exits(command.ExitUsage).has("host:port", "!geheim")
	}
	w.env["KAFKA_BROKERS"] = "127.0.0.1:1, 127.0.0.1:2,"
	w.run("relay").exits(command.ExitUnreachable).has("127.0.0.1:1", "127.0.0.1:2")
	w.run("relay", "--brokers", "127.0.0.1:3", "--brokers", "127.0.0.1:4,[::1]:5").exits(command.ExitUnreachable).has("127.0.0.1:3", "127.0.0.1:4", "!127.0.0.1:1")
}

func TestHelp_names_the_commands(t *testing.T) {
	t.Parallel()
	w := &world{TB: t, env: map[string]string{}, service: service("account")}
	for _, args := range [][]string{{}, {"--help"}, {"help"}} {
		w.must(args...).has("Keeps accounts", "migrate", "status", "rebuild", "rollback", "builds", "drop", "verify", "dead-letters", "state", "check-events", "log", "relay", "repair", "project")
	}
	w.must("state", "--help").has("RFC 3339", "-5m")
	w.must("dead-letters").has("list", "show", "retry", "skip", "sequence")
	w.service = command.Service{Name: "bare"} // what needs code is not offered, but answers
	w.must("--help").has("status", "log", "!rebuild", "!rollback", "!project", "!state ", "!check-events")
	w.must("dead-letters", "--help").has("list", "show", "!  retry", "!  skip")
}

// A service's own commands share the flags, the session and the exit codes, also
// where the tree hangs below another program's root.
func TestCommands_of_the_service_itself_share_flags_session_and_codes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	tree := func() *cobra.Command {
		cmd := command.New(w.service)
		cmd.AddCommand(&cobra.Command{Use: "owner ID", Args: cobra.ExactArgs(1), RunE: w.service.Action(
			func(ctx context.Context, s *command.Session, args []string) error {
				for e, err := range s.Store.ReadStream(ctx, es.StreamID{Category: "account", ID: args[0]}, 1) {
					if err != nil {
						return err
					}
					return s.Out.Line(line(fmt.Sprintf("%s by %s", e.Data, s.Getenv("WHO"))))
				}
				return errors.New("unreachable")
			})})
		root := &cobra.Command{Use: "shop", SilenceErrors: true, SilenceUsage: true}
		root.AddCommand(cmd)
		return root
	}
	run := func(args ...string) *outcome {
		out, log := newBuffer(), newBuffer()
		env := map[string]string{"DATABASE_URL": w.env["DATABASE_URL"], "WHO": "me"}
		code := command.Run(t.Context(), tree(), command.Invocation{Args: args, Env: env, Stdout: out, Stderr: log})
		return &outcome{TB: t, args: args, code: code, out: out.String(), err: log.String()}
	}
	run("ledger", "owner", "a-1").exits(command.ExitOK).has(`{"Owner":"ann"} by me`)
	run("ledger", "owner", "a-2").exits(command.ExitNotFound).has("shop ledger owner: ")
	run("ledger", "owner").exits(command.ExitUsage).has("accepts 1 arg", "Try: shop ledger owner --help")
	run("ledger", "owner", "--", "-ojson").exits(command.ExitNotFound).has("shop ledger owner: ", "!{") // a name, not a flag
	run("ledger", "state", "account", "a-1", "-o", "json").exits(command.ExitOK).has(`"owner": "ann"`)
	run("ledger", "status", "-ojson", "--nope").exits(command.ExitUsage).has(`"kind":"usage"`)
}

// line is a result of a command of the service's own.
type line string

func (l line) WriteText(w io.Writer) error {
	_, err := fmt.Fprintln(w, string(l))
	return err
}

func TestCommand_is_interrupted_while_it_connects(t *testing.T) {
	t.Parallel()
	w := emptyWorld(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	w.env["DATABASE_URL"] = "postgres://u:secret@" + listener.Addr().String() + "/x?sslmode=disable"
	r := w.start("status")
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r.interrupt().exits(command.ExitInterrupted).has("interrupted", "!secret")
}

// A server that goes away under a command is unreachable, not a failure of ours:
// between two statements, and in the middle of one.
func TestServer_that_goes_away_is_unreachable(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	w := &world{TB: t, service: service("account"), env: map[string]string{"DATABASE_URL": server.URL()}, pool: server.Pool()}
	w.must("migrate")
	follow := w.start("log", "--follow")
	until(t, "the log is followed", func() bool {
		return w.number("select count(*) from pg_stat_activity where application_name = 'ledger log'") > 0
	})
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }() // its server is gone; the pool waits for it
	if _, err := tx.Exec(t.Context(), "lock table asof.relay"); err != nil {
		t.Fatal(err)
	}
	blocked := w.start("repair", "--from", "0")
	until(t, "the repair waits", func() bool {
		return w.number("select count(*) from pg_stat_activity where application_name = 'ledger repair' and wait_event_type = 'Lock'") > 0
	})
	server.Kill()
	follow.wait().exits(command.ExitUnreachable)
	blocked.wait().exits(command.ExitUnreachable)
}
