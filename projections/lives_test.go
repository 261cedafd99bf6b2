package projections_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections"
)

// asked counts what is sent outside of transactions, and the transactions.
type asked struct {
	mu   sync.Mutex
	sent map[string]int
}

func (a *asked) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if conn.PgConn().TxStatus() == 'I' {
		a.count(strings.Join(strings.Fields(data.SQL), " "))
	}
	return ctx
}

func (a *asked) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (a *asked) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	if conn.PgConn().TxStatus() == 'I' {
		a.count(fmt.Sprintf("batch of %d: %s", data.Batch.Len(), strings.Join(strings.Fields(data.Batch.QueuedQueries[data.Batch.Len()-1].SQL), " ")))
	}
	return ctx
}

func (a *asked) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (a *asked) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

func (a *asked) count(sql string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent[fmt.Sprintf("%.120s", sql)]++
}

// reset begins anew.
func (a *asked) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = map[string]int{}
}

// counts are those of what was sent, by its text.
func (a *asked) counts() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.sent)
}

// What a process costs the database that has nothing to do does not grow with the number of
// its projections.
func TestIdle_projections_cost_no_more_the_more_they_are(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	last := w.append("a-1", Opened{Owner: "ann"})
	a := &asked{sent: map[string]int{}}
	const many, rounds = 20, 10
	store := w.otherPool(a)
	var list []*projections.Projector
	for n := range many {
		def := balances()
		def.Name = fmt.Sprintf("balances_%d", n)
		list = append(list, projections.New(store, def, projections.WithPoll(100*time.Millisecond)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- projections.RunAll(ctx, list...) }()
	for _, p := range list {
		w.wait(p, last)
	}
	a.reset()
	until(t, "the present is made final again and again", func() bool {
		for sql, n := range a.counts() { // once a second for the process
			if strings.Contains(sql, "moment_position, coalesce") && n >= rounds {
				return true
			}
		}
		return false
	})
	for sql, n := range a.counts() {
		if n > rounds+many/4 && !strings.Contains(sql, "order by position desc limit 1") { // which is asked at the pace of WithPoll
			t.Errorf("sent %d times in %d seconds by %d projections: %s", n, rounds, many, sql)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
