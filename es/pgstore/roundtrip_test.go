package pgstore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// statements counts what is sent to the server: queries, and statements that are
// prepared first, which is a round trip of its own.
type statements struct {
	mu                sync.Mutex
	queries, prepares []string // a batch is one query
}

func (s *statements) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	return s.TraceQueryStart(ctx, conn, pgx.TraceQueryStartData{SQL: fmt.Sprintf("%d statements", data.Batch.Len())})
}

func (s *statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries = append(s.queries, data.SQL)
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) TracePrepareStart(ctx context.Context, _ *pgx.Conn, data pgx.TracePrepareStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prepares = append(s.prepares, data.SQL)
	return ctx
}

func (s *statements) TracePrepareEnd(_ context.Context, _ *pgx.Conn, data pgx.TracePrepareEndData) {
	if data.AlreadyPrepared {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.prepares = s.prepares[:len(s.prepares)-1]
	}
}

func (s *statements) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries, s.prepares = nil, nil
}

// An append is one statement and one round trip: no transaction around it, no
// statement before it. Its plan is prepared once per connection.
func TestAppend_is_one_round_trip(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	sent := &statements{}
	store := pgstoretest.New(t, pgstoretest.MaxConns(1), pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.Tracer = sent }))

	appends := []struct {
		what string
		want es.Expected
		n    int
	}{
		{"one event, exactly", es.Exactly(0), 1}, {"several, exactly", es.Exactly(1), 3},
		{"one event, any", es.Any, 1}, {"several, any", es.Any, 100},
		{"one event, exists", es.StreamExists, 1}, {"several, exists", es.StreamExists, 2},
	}
	for _, a := range appends { // prepares them
		_, err := store.Append(ctx, stream("warm"), a.want, someEvents(a.n)...)
		must(t, err)
	}
	for _, a := range appends {
		sent.reset()
		_, err := store.Append(ctx, stream("1"), a.want, someEvents(a.n)...)
		must(t, err)
		if len(sent.queries) != 1 || len(sent.prepares) != 0 {
			t.Errorf("%s: %d statements, %d prepared: want one, prepared before: %q", a.what, len(sent.queries), len(sent.prepares), sent.queries)
		}
	}
	sent.reset()
	_, err := store.Append(ctx, stream("1"), es.NoStream, someEvents(1)...)
	if err == nil || len(sent.queries) != 2 {
		t.Errorf("a conflict took %d statements, %v: want the append and the look for the version", len(sent.queries), err)
	}
	_, err = store.Read(ctx, 0, 50) // looks at the store, and prepares
	must(t, err)
	sent.reset()
	if events, err := store.Read(ctx, 0, 50); err != nil || len(events) != 50 || len(sent.queries) != 1 {
		t.Errorf("a read of %d settled events took %d statements, %v: want one", len(events), len(sent.queries), err)
	}
}
