package pgstore_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// readers are the store of sessions that may only read: of a role with no other right,
// and of one whose transactions are read only.
func readers(ctx context.Context, t *testing.T, store *pgstore.Store) map[string]*pgstore.Store {
	t.Helper()
	config := store.Pool().Config()
	role := "reader_" + strings.ToLower(strings.ReplaceAll(config.ConnConfig.Database, "-", "_"))
	role = role[:min(len(role), 60)]
	must(t, exec(ctx, store.Pool(), `create role `+pgx.Identifier{role}.Sanitize()+` login password 'x'`,
		`grant usage on schema asof to `+role, `grant select on all tables in schema asof to `+role))
	t.Cleanup(func() {
		if err := exec(context.WithoutCancel(ctx), store.Pool(), `drop owned by `+role, `drop role `+role); err != nil {
			t.Error(err)
		}
	})
	list := map[string]*pgstore.Store{}
	for name, change := range map[string]func(*pgxpool.Config){
		"a role that may only read": func(c *pgxpool.Config) { c.ConnConfig.User, c.ConnConfig.Password = role, "x" },
		"read only by default":      func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on" },
	} {
		c := store.Pool().Config()
		change(c)
		pool, err := pgxpool.NewWithConfig(ctx, c)
		must(t, err)
		t.Cleanup(pool.Close)
		list[name] = pgstore.New(pool)
	}
	return list
}

// Who may only read gets the log over all its holes, and the moments that others have
// made final; a later moment is refused, and says who can make it so.
func TestReader_that_may_only_read(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	for range 3 {
		tx, _ := begun(ctx, t, store, "rolled back")
		must(t, tx.Rollback(ctx))
		appendEach(ctx, t, store, "kept", 2)
	}
	last := appendEach(ctx, t, store, "kept", 1)
	_, err := store.Settle(ctx, last.RecordedAt)
	must(t, err)
	tx, _ := begun(ctx, t, store, "rolled back") // a hole that nobody has settled
	must(t, tx.Rollback(ctx))
	late := appendEach(ctx, t, store, "kept", 1)
	pause(ctx, 1100*time.Millisecond) // the moment is not fresh any more, and somebody should keep a later one
	for name, reader := range readers(ctx, t, store) {
		if events, err := readAll(ctx, reader, 0); err != nil || len(events) != 8 {
			t.Errorf("%s: %d events, %v", name, len(events), err)
		}
		if p, err := reader.Settle(ctx, last.RecordedAt); err != nil || p < last.Position {
			t.Errorf("%s: a final moment: %d, %v", name, p, err)
		}
		if _, err := reader.Settle(ctx, late.RecordedAt); !errors.Is(err, es.ErrNotSettled) || !strings.Contains(err.Error(), "settled_moment") {
			t.Errorf("%s: a later moment: %v", name, err)
		}
		must(t, reader.SettleTo(ctx, late.Position))
		must(t, reader.KeepMoments(ctx))
		_, err := reader.Status(ctx)
		must(t, err)
		for e, err := range reader.ReadStream(ctx, stream("kept"), 8) {
			must(t, err)
			if e.Position != late.Position {
				t.Errorf("%s: the stream ends at %d", name, e.Position)
			}
		}
	}
}

// Nothing that asks writes. The transactions of the server count, so it has no other users.
func TestQuestions_write_nothing(t *testing.T) {
	t.Parallel()
	store := pgstoretest.Open(t, embeddedtest.Server(t).URL())
	ctx := within(t, 60*time.Second)
	tx, _ := begun(ctx, t, store, "rolled back")
	must(t, tx.Rollback(ctx))
	last := appendEach(ctx, t, store, "1", 3)
	other := pgstore.New(store.Pool())
	_, err := other.Settle(ctx, last.RecordedAt)
	must(t, err)
	var before, after string
	const lsn = `select pg_current_xact_id_if_assigned() is null, pg_snapshot_xmax(pg_current_snapshot())::text`
	var none bool
	must(t, store.Pool().QueryRow(ctx, lsn).Scan(&none, &before))
	_, err = other.Status(ctx)
	must(t, err)
	_, err = other.Settle(ctx, last.RecordedAt)
	must(t, err)
	_, err = other.Settle(ctx, time.Time{})
	must(t, err)
	must(t, other.SettleTo(ctx, last.Position))
	must(t, other.Verify(ctx, es.Checkpoint{}))
	streamed(ctx, t, other, es.Checkpoint{}, last.Position, 10)
	must(t, store.Pool().QueryRow(ctx, lsn).Scan(&none, &after))
	if before != after {
		t.Errorf("a question has begun a transaction that writes: %s, then %s", before, after)
	}
}

// deafTo is a connection on which the server never hears a certain word, once it is
// armed.
type deafTo struct {
	net.Conn
	word  []byte
	armed *atomic.Bool
}

func (c deafTo) Write(p []byte) (int, error) {
	if c.armed.Load() && bytes.Contains(p, c.word) {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// One reader's connection hangs while it looks at the locks, and it has no deadline: the
// others keep theirs, and those who need no look go on.
func TestReader_whose_connection_hangs_holds_up_nobody(t *testing.T) {
	t.Parallel()
	var hangs atomic.Bool
	store := pgstoretest.New(t, pgstoretest.MaxConns(8), pgstoretest.Configure(func(c *pgxpool.Config) {
		c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // each statement is sent as text
		c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return deafTo{conn, []byte("virtualtransaction"), &hangs}, err
		}
	}))
	ctx := within(t, 60*time.Second)
	appendEach(ctx, t, store, "1", 2)
	tx, _ := begun(ctx, t, store, "open")
	later, err := store.Append(ctx, stream("later"), es.NoStream, someEvents(1)...)
	must(t, err)
	if events, err := store.Read(ctx, 2, 10); err != nil || len(events) != 0 {
		t.Fatalf("%v, %v", events, err)
	}
	hangs.Store(true)
	hanging, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		for hanging.Err() == nil {
			_, _ = store.Read(hanging, 2, 10)
		}
		close(done)
	}()
	pause(ctx, 200*time.Millisecond)
	for what, ask := range map[string]func(context.Context) error{
		"Read at the hole": func(ctx context.Context) error {
			_, err := store.Read(ctx, 2, 10)
			return err
		},
		"Settle":      func(ctx context.Context) error { _, err := store.Settle(ctx, time.Time{}); return err },
		"SettleAt":    func(ctx context.Context) error { _, err := store.Settle(ctx, later[0].RecordedAt); return err },
		"KeepMoments": store.KeepMoments,
	} {
		short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		begin := time.Now()
		err := ask(short)
		cancel()
		if err == nil || time.Since(begin) > 3*time.Second {
			t.Errorf("%s came back after %s with %v", what, time.Since(begin), err)
		}
	}
	if events, err := store.Read(ctx, 0, 10); err != nil || len(events) != 2 {
		t.Errorf("below the head: %d events, %v", len(events), err)
	}
	if _, err := store.Status(within(t, 300*time.Millisecond)); err == nil {
		t.Error("a status that cannot list the holders has no error")
	}
	stop()
	<-done
	hangs.Store(false)
	must(t, tx.Rollback(ctx))
}

// A reader waits for its turn no longer than its own context lets it, and those below
// the settled head wait for no turn at all.
func TestReader_below_the_head_waits_for_no_other(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	appendEach(ctx, t, store, "1", 5)
	if _, err := readAll(ctx, store, 0); err != nil {
		t.Fatal(err)
	}
	begun(ctx, t, store, "open")
	appendEach(ctx, t, store, "later", 1)
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	for range 4 { // wait at the hole all the time
		go func() {
			for waiting.Err() == nil {
				_, _ = store.Read(waiting, 5, 10)
			}
		}()
	}
	for range 20 {
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		if events, err := store.Read(short, 0, 10); err != nil || len(events) != 5 {
			t.Errorf("%d events, %v", len(events), err)
		}
		cancel()
	}
}

// A stream of large events is read page by page, never far ahead of who takes them.
func TestReadStream_does_not_run_ahead(t *testing.T) {
	t.Parallel()
	store, sent := counted(t)
	ctx := within(t, 2*time.Minute)
	large := bytes.Repeat([]byte("x"), es.MaxData)
	const total = 120
	for range total / 10 {
		events := make([]es.EventData, 10)
		for i := range events {
			events[i] = es.EventData{ID: es.NewID(), Type: "x", ContentType: "text/plain", Data: large}
		}
		_, err := store.Append(ctx, stream("large"), es.Any, events...)
		must(t, err)
	}
	for _, err := range store.ReadStream(ctx, stream("large"), 1) { // and learns how large they are
		must(t, err)
		break
	}
	sent.Store(0)
	read := 0
	var most int64
	for e, err := range store.ReadStream(ctx, stream("large"), 1) {
		must(t, err)
		if read++; e.Version != es.Version(read) || len(e.Data) != es.MaxData {
			t.Fatalf("event %d is version %d of %d bytes", read, e.Version, len(e.Data))
		}
		most = max(most, sent.Load()-int64(read-1)*es.MaxData)
	}
	if read != total {
		t.Errorf("%d events", read)
	}
	if most > 12<<20 {
		t.Errorf("%d MB of %d MB had come before they were taken", most>>20, total*es.MaxData>>20)
	}
	read = 0 // by one that does not know how large they are, and whose first page ends before its time
	for _, err := range pgstore.New(store.Pool()).ReadStream(ctx, stream("large"), 1) {
		must(t, err)
		read++
	}
	if read != total {
		t.Errorf("%d events", read)
	}
}

// counting counts the bytes that the server sends.
type counting struct {
	net.Conn
	bytes *atomic.Int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// counted is a store, and how much its server has sent.
func counted(t *testing.T) (*pgstore.Store, *atomic.Int64) {
	t.Helper()
	sent := &atomic.Int64{}
	return pgstoretest.New(t, pgstoretest.Configure(func(c *pgxpool.Config) {
		c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return counting{conn, sent}, err
		}
	})), sent
}

// A reader asks the server for about what it will take, of streams and of the log, also
// where small events come before large ones.
func TestReaders_ask_for_what_they_take(t *testing.T) {
	t.Parallel()
	store, sent := counted(t)
	ctx := within(t, 2*time.Minute)
	const total, size = 600, 300 << 10
	events := make([]es.EventData, 50)
	for range total / len(events) {
		for i := range events {
			events[i] = es.EventData{ID: es.NewID(), Type: "x", ContentType: "text/plain", Data: bytes.Repeat([]byte("x"), size)}
		}
		_, err := store.Append(ctx, stream("large"), es.Any, events...)
		must(t, err)
	}
	for what, read := range map[string]func(s *pgstore.Store){
		"the first event of a stream": func(s *pgstore.Store) {
			for _, err := range s.ReadStream(ctx, stream("large"), 1) {
				must(t, err)
				return
			}
		},
		"a page of the log": func(s *pgstore.Store) {
			_, err := s.Read(ctx, 0, 1000)
			must(t, err)
		},
		"a page in a transaction": func(s *pgstore.Store) {
			tx, err := s.Pool().Begin(ctx)
			must(t, err)
			defer tx.Rollback(ctx)
			_, err = s.InTx(tx).Page(ctx, 0, total, 1000)
			must(t, err)
		},
	} {
		s := pgstore.New(store.Pool())
		for n, most := range []int64{40 << 20, 12 << 20} { // before and after the size is known
			sent.Store(0)
			read(s)
			if got := sent.Load(); got > most {
				t.Errorf("%s, time %d: %d MB came, want %d at most", what, n+1, got>>20, most>>20)
			}
		}
	}
}

// A name that could leave its quotes, and options that make no store, are refused by
// every call.
func TestNames_of_schemas_are_refused(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	must(t, exec(t.Context(), pool, `create table dropped (n int)`))
	for _, name := range []string{"", "Asof", "else where\"", `'; drop table dropped; --`, `a' || drop_it() || '`, strings.Repeat("a", 64), "asof\x00"} {
		for call, err := range everyCall(t, pgstore.New(pool, pgstore.WithSchema(name))) {
			if !errors.Is(err, es.ErrInvalid) || !strings.Contains(err.Error(), "use 1 to 63 of a-z 0-9 _") {
				t.Errorf("%s of schema %q: %v", call, name, err)
			}
		}
	}
	for call, err := range everyCall(t, pgstore.New(nil)) {
		if !errors.Is(err, es.ErrInvalid) || !strings.Contains(err.Error(), "pool") {
			t.Errorf("%s without a pool: %v", call, err)
		}
	}
	must(t, exec(t.Context(), pool, `select from dropped`))
}

// A database in which not every text can be stored.
func TestDatabase_of_another_encoding_is_refused(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	must(t, exec(t.Context(), server.Pool(), `create database latin template template0 encoding 'LATIN1' locale 'C'`))
	u, err := url.Parse(server.URL())
	must(t, err)
	u.Path = "/latin"
	says(t, pgstoretest.Open(t, u.String()), "LATIN1", "encoding 'UTF8'")
}
