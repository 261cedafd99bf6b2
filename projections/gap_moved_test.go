package projections_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections"
)

// armed does something, once, after a query for a partition that comes when it is armed.
type armed struct {
	after     string
	partition atomic.Int64
	do        atomic.Pointer[func()]
}

func (a *armed) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	of := strings.Contains(data.SQL, a.after) && slices.Contains(data.Args, any(int(a.partition.Load())))
	return context.WithValue(ctx, a, of)
}

func (a *armed) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if of, ok := ctx.Value(a).(bool); ok && of {
		if do := a.do.Swap(nil); do != nil {
			(*do)()
		}
	}
}

// A process reads a stream again, and does not know yet that another one has the partition and
// has moved its offset over more of the stream. What it has read is not all: the gap stays, and
// the stream is read again from it.
func TestTopics_alone_keep_a_gap_whose_partition_another_process_has_moved(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	g.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 10}, Deposited{Cents: 100}, Deposited{Cents: 1000})
	e := g.history()
	moved := make(chan struct{})
	tracer := &armed{after: "and not g.lost"}
	asleep := projections.New(projections.In(g.target.otherPool(tracer).Pool(), "asof"), g.totals(), projections.FromKafka(g.client, projections.WithLogCheck(never)))
	g.tell(eventSource, g.life, e[0], e[2])
	if err := asleep.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := start(t, asleep)
	applied := func(source string) {
		t.Helper()
		g.tell(source, uuid.New(), e[0])
		until(t, "it has gone on", func() bool {
			return g.target.number(`select count(*) from asof.dedup where source = $1`, source) == 1
		})
	}
	applied("/before") // it follows
	tracer.partition.Store(g.target.number(`select partition from asof.offsets where next_offset > 0`))
	move := func() { // it is to read the stream again; the other has read two messages more
		g.target.exec(`update asof.offsets set next_offset = next_offset + 2 where next_offset > 0`)
		close(moved)
	}
	tracer.do.Store(&move)
	g.tell(eventSource, g.life, e[1])
	select {
	case <-moved:
	case <-within(t, patient).Done():
		t.Fatal("it does not read the stream again")
	}
	applied("/other") // the first of the two: the stream was read before
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	g.tell(eventSource, g.life, e[3]) // the second, which the other has left behind the gap
	p := g.projector(g.totals())
	start(t, p)
	until(t, "the stream is whole", func() bool { return g.status(p).Gaps == nil })
	if n := g.target.number(`select cents from totals.totals where bucket = 'all'`); n != 1111+1+1 {
		t.Errorf("%d cents", n)
	}
}

// Of a stream that lacks another event once one has come, the books say which, and from where
// it is read again.
func TestTopics_alone_note_which_event_a_stream_lacks_now(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	p := g.projector(g.totals())
	start(t, p)
	g.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 10}, Deposited{Cents: 100}, Deposited{Cents: 1000}, Deposited{Cents: 10_000})
	e := g.history()
	g.tell(eventSource, g.life, e[0], e[2])
	g.untilAll(p)
	g.tell(eventSource, g.life, e[4])
	g.untilAll(p)
	lacks := func(version, offset int64) {
		t.Helper()
		until(t, "the books say what lacks", func() bool {
			return g.target.number(`select count(*) from asof.gaps where version = $1 and next_offset = $2`, version, offset) == 1
		})
	}
	lacks(2, 1)
	g.tell(eventSource, g.life, e[1])
	lacks(4, 2)
	g.tell(eventSource, g.life, e[3])
	until(t, "the stream is whole", func() bool { return g.status(p).Gaps == nil })
	g.untilAll(p)
	if n := g.target.number(`select cents from totals.totals where bucket = 'all'`); n != 11_111 {
		t.Errorf("%d cents", n)
	}
}
