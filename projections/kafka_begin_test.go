package projections_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections"
)

// afterward does something once, when a statement has been answered, in a batch or alone.
type afterward struct {
	sql string
	do  atomic.Pointer[func()]
}

func (a *afterward) answered(sql string) {
	if strings.Contains(sql, a.sql) {
		if do := a.do.Swap(nil); do != nil {
			(*do)()
		}
	}
}

func (a *afterward) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, a, data.SQL)
}

func (a *afterward) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if sql, ok := ctx.Value(a).(string); ok {
		a.answered(sql)
	}
}

func (a *afterward) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (a *afterward) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	a.answered(data.SQL)
}

func (*afterward) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// A projector begins to read Kafka: it has found out where the log ends, and another event is
// appended and published. It lies behind the place from which the topic is read.
func TestKafka_event_that_comes_while_a_projector_begins_is_read(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.append("a-1", Opened{Owner: "ann"})
	if err := c.new(c.totals()).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	tracer := &afterward{sql: "select virtualtransaction from pg_locks"}
	came := make(chan struct{})
	do := func() {
		c.tell("a-1", Deposited{Cents: 5})
		close(came)
	}
	tracer.do.Store(&do)
	p := c.newOn(c.otherPool(tracer), c.totals(), projections.FromKafka(c.client, projections.WithLogCheck(never)))
	start(t, p)
	<-came
	c.untilReading(p)
	c.untilRead(p)
	c.wantTotals("totals.totals")
}
