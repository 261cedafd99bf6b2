package projectiontest_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections/projectiontest"
)

// watcher sees what is done to the tables of each way: how often rows are looked up and
// copied.
type watcher struct {
	mu        sync.Mutex
	ways      []string // schemas
	loads     map[string]int
	copies    map[string]int
	rollbacks int
}

func (w *watcher) way(schema string) string {
	if !slices.Contains(w.ways, schema) {
		w.ways = append(w.ways, schema)
	}
	return schema
}

func (w *watcher) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	if schema, made := strings.CutPrefix(d.SQL, `create schema "`); made && strings.Contains(schema, "_try_") {
		w.way(strings.TrimSuffix(schema, `"`))
	}
	if d.SQL == "rollback" {
		w.rollbacks++
	}
	return ctx
}

func (*watcher) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (*watcher) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (w *watcher) TraceBatchQuery(_ context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if tag, sql, tagged := strings.Cut(strings.TrimPrefix(d.SQL, "/* asof try "), " */ "); tagged && strings.HasPrefix(sql, "select u.k") {
		w.loads[w.way(tag)]++
	}
}

func (*watcher) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (w *watcher) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceCopyFromStartData) context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.copies[w.way(d.TableName[0])]++
	return ctx
}

func (*watcher) TraceCopyFromEnd(context.Context, *pgx.Conn, pgx.TraceCopyFromEndData) {}

func TestReplay_goes_all_ways(t *testing.T) {
	t.Parallel()
	seen := &watcher{loads: map[string]int{}, copies: map[string]int{}}
	store := history(t, pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.Tracer = seen }))
	projectiontest.Replay(t, store, sums(add))
	var loads, copies []int
	for _, schema := range seen.ways {
		loads, copies = append(loads, seen.loads[schema]), append(copies, seen.copies[schema])
	}
	// Of 30 events of 4 streams in turn: twice one by one, 2, 3, 7 at a time and all at once;
	// one by one in memory that is used again; 1 and 3 to rows that stay; rebuilt, rebuilt with
	// a stop, in parts; 3 with those before; two with crashes; several rows at once.
	if want := []int{30, 30, 15, 10, 5, 1, 30, 4, 2, 0, 1, 0, 10}; len(loads) != 16 || !slices.Equal(loads[:13], want) || loads[15] != 1 {
		t.Errorf("rows were looked up %v times, want %v, two of crashes, and 1", loads, want)
	}
	if loads[13] <= 30 || seen.rollbacks < 5 {
		t.Errorf("programs that die have looked up rows %d times, and rolled back %d times", loads[13], seen.rollbacks)
	}
	if copies[9] != 1 || copies[10] != 1 || copies[11] < 2 {
		t.Errorf("rebuilds have copied %v times", copies[9:12])
	}
}
