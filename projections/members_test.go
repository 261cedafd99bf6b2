package projections_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/projections"
)

// memberIDs are those who say in the database of the read models that they live, or lived.
func (c *cluster) memberIDs() (ids []string) {
	c.Helper()
	rows, err := c.pool.Query(c.Context(), `select member from asof.members order by member`)
	if err != nil {
		c.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			c.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		c.Fatal(err)
	}
	return ids
}

// lines is what is logged, safe for concurrent use.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.text.Bytes(), []byte(text))
}

// A process is killed. The other does not wait until its session with the brokers ends: it
// sees that it beats no more, takes it out of the group, and reads its partitions.
func TestMember_that_was_killed_is_taken_out_of_the_group(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.append("a-1", Opened{Owner: "ann"})
	victim := c.process()
	var told lines
	p := c.new(c.totals(), projections.WithLogger(slog.New(slog.NewTextHandler(&told, nil))), projections.FromKafka(newClient(t, c.brokers...), projections.WithLogCheck(never)))
	c.untilReading(p)
	start(t, p)
	until(t, "both have partitions, and say that they live", func() bool { return c.members(p) == 2 && len(c.memberIDs()) == 2 })
	began := c.beats()
	until(t, "both have lived for longer than one that is gone is waited for", func() bool { return c.beats() >= began+2*8 })
	if n := told.count("was taken out"); n != 0 {
		t.Fatalf("%d were taken out while all live", n)
	}
	killed := time.Now()
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	var last es.Position
	for n := range 4 * partitions {
		last = c.tell(fmt.Sprintf("b-%d", n), Deposited{Cents: int64(n)})
	}
	c.wait(p, last)
	t.Log("taken over after", time.Since(killed))
	until(t, "it is taken out, and the other is there", func() bool { return told.count("is gone, and was taken out") == 1 && len(c.memberIDs()) == 1 })
	c.wantTotals("totals.totals")
	c.wantApplied("totals")
}

// said counts the statements by which members say that they live.
type said struct{ atomic.Int64 }

func (s *said) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "members as m") {
		s.Add(1)
	}
	return ctx
}

func (*said) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// One process feeds many read models and reads many groups: it says once that all live, on one
// connection, and takes out none of its own.
func TestMembers_of_one_process_beat_together(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.append("a-1", Opened{Owner: "ann"})
	var said said
	store := c.otherPool(&said)
	var told lines
	follow := func(def projections.Definition, client *kafka.Client) *projections.Projector {
		return c.newOn(store, def, projections.WithLogger(slog.New(slog.NewTextHandler(&told, nil))), projections.FromKafka(client, projections.WithLogCheck(never)))
	}
	list := []*projections.Projector{follow(c.totals(), c.client), follow(c.balances(), c.client), follow(c.balances(), newClient(t, c.brokers...))}
	var stops []func() error
	for _, p := range list {
		stops = append(stops, start(t, p))
	}
	until(t, "all members say that they live", func() bool { return len(c.memberIDs()) == 3 })
	before, began := said.Load(), c.beats()
	until(t, "they have said so ten times more", func() bool { return c.beats() >= began+30 })
	if n := said.Load() - before; n < 9 || n > 15 {
		t.Errorf("%d statements for ten beats of three members", n)
	}
	if len(c.memberIDs()) != 3 {
		t.Errorf("%q: one was taken out", c.memberIDs())
	}
	for left := 2; left >= 0; left-- { // whoever leaves is no more there, and none takes it for dead
		if err := stops[left](); err != nil {
			t.Fatal(err)
		}
		until(t, "the others alone say that they live", func() bool { return len(c.memberIDs()) == left })
	}
	if n := told.count("was taken out"); n != 0 {
		t.Errorf("%d were taken for dead", n)
	}
}

func (c *cluster) beats() int64 {
	c.Helper()
	return c.number(`select coalesce(sum(beats), 0)::bigint from asof.members`)
}
