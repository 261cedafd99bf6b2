package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// Event is what can happen to an account.
type Event interface {
	es.Event
	account()
}

type (
	Opened    struct{ Owner string }
	Deposited struct{ Cents int64 }
)

func (Opened) EventType() string    { return "account.opened" }
func (Deposited) EventType() string { return "account.deposited" }

func (Opened) account()    {}
func (Deposited) account() {}

func codec() es.Codec[Event] { return es.JSON[Event](Opened{}, Deposited{}) }

// Account is the state of an account.
type Account struct {
	Owner   string `json:"owner"`
	Balance int64  `json:"balance"`
}

// Balance is a row of the read model.
type Balance struct {
	Account string `db:"account"`
	Cents   int64  `db:"cents"`
}

// service keeps accounts of a category of its own: topics are shared by all tests.
func service(category string) command.Service {
	return command.Service{
		Name: "ledger", Short: "Keeps accounts",
		Aggregates: []command.Aggregate{command.AggregateOf(aggregates.Decider[Account, Event]{
			Category: category, Codec: codec(), Evolve: evolve,
		})},
		Projections: []projections.Definition{balances(category, 1)},
	}
}

func evolve(a Account, e Event) Account {
	switch e := e.(type) {
	case Opened:
		a.Owner = e.Owner
	case Deposited:
		a.Balance += e.Cents
	}
	return a
}

func balances(category string, version int) projections.Fold[Balance, Event] {
	return projections.Fold[Balance, Event]{
		Name: "balances", Version: version,
		Table: `create table balances (account text primary key, cents bigint not null)`,
		Codec: codec(), Categories: []string{category}, Order: projections.OneStream,
		Key: func(_ Event, r es.Recorded) string { return r.Stream.ID },
		Apply: func(b *Balance, e Event, _ es.Recorded) {
			if e, ok := e.(Deposited); ok {
				b.Cents += e.Cents
			}
		},
	}
}

// world is a database of the test's own and the environment of its commands.
type world struct {
	testing.TB
	env     map[string]string
	pool    *pgxpool.Pool
	store   *pgstore.Store
	service command.Service
}

// newWorld has the tables; emptyWorld has not.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := emptyWorld(t)
	if err := w.service.Migrate(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
	return w
}

func emptyWorld(t testing.TB) *world {
	t.Helper()
	address := embeddedtest.Database(t)
	pool, err := pgxpool.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &world{
		TB: t, pool: pool, store: pgstore.New(pool), service: service("account"),
		env: map[string]string{"DATABASE_URL": address},
	}
}

func (w *world) append(id string, events ...Event) es.RecordedEvent {
	w.Helper()
	var data []es.EventData
	for _, event := range events {
		encoded, err := codec().Encode(w.Context(), es.StreamID{}, event)
		if err != nil {
			w.Fatal(err)
		}
		data = append(data, encoded)
	}
	recorded, err := w.store.Append(w.Context(), es.StreamID{Category: "account", ID: id}, es.Any, data...)
	if err != nil {
		w.Fatal(err)
	}
	return recorded[len(recorded)-1]
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	if _, err := w.pool.Exec(w.Context(), sql, args...); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) number(sql string, args ...any) (n int64) {
	w.Helper()
	if err := w.pool.QueryRow(w.Context(), sql, args...).Scan(&n); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
	return n
}

// outcome is what a command left behind.
type outcome struct {
	testing.TB
	args     []string
	code     int
	out, err string
}

// run runs a command of the service until it ends.
func (w *world) run(args ...string) *outcome {
	w.Helper()
	return w.start(args...).wait()
}

// must is run for a command that succeeds and says nothing on the standard error.
func (w *world) must(args ...string) *outcome {
	w.Helper()
	o := w.run(args...).exits(command.ExitOK)
	if o.err != "" {
		w.Errorf("%v said on the standard error: %s", args, o.err)
	}
	return o
}

func (o *outcome) exits(code int) *outcome {
	o.Helper()
	if o.code != code {
		o.Fatalf("%v: exit code %d, want %d\n%s%s", o.args, o.code, code, o.out, o.err)
	}
	return o
}

// notDone wants a code that says that nothing was done.
func (o *outcome) notDone() *outcome {
	o.Helper()
	if o.code == command.ExitOK {
		o.Errorf("%v: exit code 0:\n%s%s", o.args, o.out, o.err)
	}
	return o
}

// has wants texts in the output, or after "!" not in it.
func (o *outcome) has(texts ...string) *outcome {
	o.Helper()
	for _, text := range texts {
		text, absent := strings.CutPrefix(text, "!")
		if strings.Contains(o.out+o.err, text) == absent {
			o.Errorf("%v: %q present: %v, in\n%s%s", o.args, text, !absent, o.out, o.err)
		}
	}
	return o
}

// into decodes the standard output, which must be one document.
func (o *outcome) into(v any) {
	o.Helper()
	decoder := json.NewDecoder(strings.NewReader(o.out))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		o.Fatalf("%v: %v in\n%s", o.args, err, o.out)
	}
	if decoder.More() {
		o.Fatalf("%v: more than one document:\n%s", o.args, o.out)
	}
}

// running is a command under way.
type running struct {
	*outcome
	begin, stop func()
	done        chan int
	stdout, log *buffer
}

// start starts a command; the test ends it.
func (w *world) start(args ...string) *running {
	w.Helper()
	r := w.prepare(args...)
	r.begin()
	return r
}

func (w *world) prepare(args ...string) *running {
	ctx, cancel := context.WithCancel(w.Context())
	w.Cleanup(cancel)
	r := &running{outcome: &outcome{TB: w.TB, args: args}, stop: cancel, done: make(chan int, 1), stdout: newBuffer(), log: newBuffer()}
	root := command.New(w.service)
	r.begin = func() {
		go func() {
			r.done <- command.Run(ctx, root, command.Invocation{Args: args, Env: w.env, Stdin: strings.NewReader(""), Stdout: r.stdout, Stderr: r.log})
		}()
	}
	return r
}

func (r *running) wait() *outcome {
	r.Helper()
	select {
	case r.code = <-r.done:
	case <-time.After(30 * time.Second):
		r.Fatalf("%v does not end\n%s%s", r.args, r.stdout, r.log)
	}
	r.out, r.err = r.stdout.String(), r.log.String()
	return r.outcome
}

// interrupt stops the command as a signal does.
func (r *running) interrupt() *outcome {
	r.Helper()
	r.stop()
	return r.wait()
}

// buffer is a bytes.Buffer for two goroutines. It can stop whoever writes a text.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer

	hold       string        // the text; empty for none
	held, free chan struct{} // held gets one when it is written, free is closed to let go
}

func newBuffer() *buffer { return &buffer{held: make(chan struct{}, 1), free: make(chan struct{})} }

func (b *buffer) Write(p []byte) (int, error) {
	if b.hold != "" && bytes.Contains(p, []byte(b.hold)) {
		b.held <- struct{}{}
		<-b.free
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// until polls a condition.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}
