package pgstoretest_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/migrations"
)

func record(t *testing.T, store *pgstore.Store) {
	t.Helper()
	stream := es.StreamID{Category: "account", ID: "ann"}
	_, err := store.Append(t.Context(), stream, es.NoStream, es.EventData{ID: es.NewID(), Type: "account.opened", Data: []byte(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
}

func events(t *testing.T, store *pgstore.Store) int {
	t.Helper()
	list, err := store.Read(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestNew_is_a_store_of_the_tests_own(t *testing.T) {
	t.Parallel()
	mine, other := pgstoretest.New(t), pgstoretest.New(t)
	record(t, mine)
	if events(t, mine) != 1 || events(t, other) != 0 {
		t.Errorf("one store has %d events, the other %d", events(t, mine), events(t, other))
	}
	if n := mine.Pool().Config().MaxConns; n != 12 || mine.Schema() != "asof" {
		t.Errorf("%d connections, schema %s", n, mine.Schema())
	}
}

func TestOpen_finds_what_is_there(t *testing.T) {
	t.Parallel()
	address := embeddedtest.Database(t)
	record(t, pgstoretest.Open(t, address))
	if n := events(t, pgstoretest.Open(t, address)); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestStore_is_closed_at_the_end(t *testing.T) {
	t.Parallel()
	var store *pgstore.Store
	t.Run("its test", func(t *testing.T) {
		store = pgstoretest.New(t)
		record(t, store)
	})
	if err := store.Pool().Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "closed pool") {
		t.Errorf("the pool is open: %v", err)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	notes := fstest.MapFS{"0001_notes.sql": {Data: []byte("-- +goose Up\ncreate table notes (note text);\n")}}
	store := pgstoretest.New(t, pgstoretest.MaxConns(2), pgstoretest.Schema("ledger"),
		pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["application_name"] = "the test" }),
		pgstoretest.Migrations(migrations.Set{Schema: "notes", Files: notes}))
	record(t, store)
	var name string
	var recorded int
	err := store.Pool().QueryRow(t.Context(), `select current_setting('application_name'),
		(select count(*) from ledger.events) + (select count(*) from notes.notes)`).Scan(&name, &recorded)
	if n := store.Pool().Config().MaxConns; err != nil || n != 2 || name != "the test" || recorded != 1 {
		t.Errorf("%d connections, name %q, %d rows, %v", n, name, recorded, err)
	}
}

// failing is a test that may fail without consequence.
type failing struct {
	testing.TB
	text string
}

func (*failing) Helper() {}

func (f *failing) Fatalf(text string, args ...any) {
	f.text = fmt.Sprintf(text, args...)
	runtime.Goexit()
}

func TestOpen_fails_the_test_that_cannot_have_its_store(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"postgres://ann:secret@127.0.0.1:1/nothing": "connect",
		"nonsense": "neither a URL nor words",
	} {
		f := &failing{TB: t}
		ended, end := context.WithCancel(t.Context())
		go func() {
			defer end()
			pgstoretest.Open(f, address)
		}()
		<-ended.Done()
		if !strings.HasPrefix(f.text, "pgstoretest: no store: ") || !strings.Contains(f.text, want) || strings.Contains(f.text, "secret") {
			t.Errorf("%s: %q", address, f.text)
		}
	}
}
