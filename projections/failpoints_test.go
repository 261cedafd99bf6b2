package projections_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// A process that dies has sent so many messages to the database, and no more. Whether it has
// seen the last answer does not matter to what it leaves, nor do messages that only read. So
// a test that lets it die before each message that writes or commits has let it die at every
// step.

// mortal is the network of a process that dies at a message.
type mortal struct {
	at   int64 // this message of those that change something it does not send any more
	died context.CancelFunc
	gone chan struct{} // closed when all connections are
	sent atomic.Int64
	dead atomic.Bool
	calm bool // it dies at no message, and counts none

	mu    sync.Mutex
	conns []net.Conn
}

var errDead = errors.New("the process is dead")

func (m *mortal) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if m.dead.Load() {
		return nil, errDead
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns = append(m.conns, conn)
	return &mortalConn{Conn: conn, of: m}, nil
}

// die ends all connections, once.
func (m *mortal) die() {
	if m.dead.Swap(true) {
		return
	}
	m.died()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		_ = c.Close()
	}
	close(m.gone)
}

var changes = regexp.MustCompile(`(?i)\b(commit|insert into|delete from|create|alter|drop)\b|\bupdate "`)

type mortalConn struct {
	net.Conn
	of *mortal
}

func (c *mortalConn) Write(data []byte) (int, error) {
	if c.of.dead.Load() {
		return 0, errDead
	}
	if c.of.calm || !changes.Match(data) || c.of.sent.Add(1) != c.of.at {
		return c.Conn.Write(data)
	}
	c.of.die()
	return 0, errDead
}

// process is the store as a process has it that dies at a message; zero: it lives.
func (w *world) process(at int64) (*pgstore.Store, *mortal, context.Context) {
	w.Helper()
	ctx, cancel := context.WithCancel(within(w, 2*time.Minute))
	w.Cleanup(cancel)
	m := &mortal{at: at, died: cancel, gone: make(chan struct{})}
	config := w.pool.Config()
	config.ConnConfig.DialFunc = m.dial
	config.MinConns, config.MaxConns = 0, 4
	config.ConnConfig.RuntimeParams["application_name"] = w.category
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // a step is a message
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(pool.Close)
	return pgstore.New(pool), m, ctx
}

// scene is a history of a category of its own, and what is done with it.
type scene struct {
	*world
	n      int64
	mended *atomic.Bool
}

func (s *scene) name() string { return fmt.Sprintf("totals%d", s.n) }

func (s *scene) projector(store *pgstore.Store) *projections.Projector {
	def := poisonedTotals(s.mended)
	def.Name, def.Categories = s.name(), []string{s.category}
	return projections.New(store, def, projections.WithBatch(4), projections.WithPoll(time.Millisecond))
}

// begin appends what is there at first.
func (s *scene) begin() {
	for n := range 6 {
		s.append(name(n%3), Opened{Owner: "ann"}, Deposited{Cents: int64(100 + n)})
	}
	s.append("a-1", Deposited{Cents: failsForAll}, Deposited{Cents: 1000})
	s.unreadable("a-2")
}

// play follows, which builds before, retries, skips and rebuilds, until it is done or dead.
func (s *scene) play(ctx context.Context, store *pgstore.Store, skipped uuid.UUID) error {
	p := s.projector(store)
	if err := s.follow(ctx, p); err != nil {
		return err
	}
	s.mended.Store(true)
	if _, err := p.RetryAll(ctx); err != nil {
		return err
	}
	if _, err := p.Skip(ctx, skipped, "cannot be read"); err != nil && !errors.Is(err, projections.ErrApplied) {
		return err
	}
	return p.Rebuild(ctx, projections.WithChunk(7))
}

// follow runs the projector until it has come to the end of the log.
func (s *scene) follow(ctx context.Context, p *projections.Projector) error {
	head := es.Position(s.number(`select max(position) from asof.events where category = $1`, s.category))
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	err := p.WaitFor(ctx, head)
	if _, parked := errors.AsType[*projections.ParkedError](err); parked {
		err = nil
	}
	stop()
	return errors.Join(err, <-ended)
}

// mine is the scene's history.
func (s *scene) mine(t *testing.T) (all []es.RecordedEvent) {
	t.Helper()
	for n := range 3 {
		for e, err := range s.store.ReadStream(t.Context(), s.stream(name(n)), 1) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b es.RecordedEvent) int { return int(a.Position - b.Position) })
	return all
}

// whole checks what stands in the database now: the live rows are those of what the books
// say is applied, but for what they say is parked.
func (s *scene) whole(t *testing.T, what string, skipped uuid.UUID) {
	t.Helper()
	status, err := s.projector(s.store).Status(t.Context())
	if errors.Is(err, projections.ErrNotBuilt) || err == nil && status.Build == 0 {
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	skips, err := projections.ListSkipped(t.Context(), s.store, s.name())
	if err != nil {
		t.Fatal(err)
	}
	var applied []es.RecordedEvent
	for _, e := range s.mine(t) {
		if e.Position <= status.Position && (len(skips) == 0 || e.ID != skipped) {
			applied = append(applied, e)
		}
	}
	want := wantTotalsBut(t, what, s.store, status, applied)
	got := readTable(t, s.pool, s.name()+".totals", byBucket)
	if len(want)+len(got) > 0 {
		same(t, want, got)
	}
	wrong := s.number(`
		select count(*)
		from (select count(*) n, bit_xor(uuid_hash_extended(event_id, 0)) h from asof.events where category = $1 and position <= $2) e
		left join asof.sums s on s.build = $3 and s.category = $1
		where (e.n, coalesce(e.h, 0)) is distinct from (coalesce(s.events, 0), coalesce(s.hash, 0))`, s.category, int64(status.Position), status.Build)
	if wrong != 0 {
		t.Fatalf("%s: other events are applied than stand in the log", what)
	}
}

// wantTotalsBut is what events come to, but for what the books say is parked of them.
func wantTotalsBut(t *testing.T, what string, target projections.Target, status projections.Status, applied []es.RecordedEvent) map[string]Total {
	t.Helper()
	units, err := projections.ListParked(t.Context(), target, status.Name)
	if err != nil {
		t.Fatal(err)
	}
	parked := map[string]bool{}
	for _, u := range units {
		if u.Build == status.Build {
			parked[u.Event.ID.String()+u.Key] = true
		}
	}
	if int64(len(parked)) != status.Parked {
		t.Fatalf("%s: %d units are counted and %d are parked", what, status.Parked, len(parked))
	}
	want := map[string]Total{}
	for _, recorded := range applied {
		event, err := codec().Decode(recorded)
		if err != nil || parked[recorded.ID.String()] {
			continue
		}
		for _, key := range totals().Keys(event, recorded.Recorded) {
			if !parked[recorded.ID.String()+key] {
				row := want[key]
				row.Bucket = key
				totals().Apply(&row, event, recorded.Recorded)
				want[key] = row
			}
		}
	}
	return want
}

// Whichever step a process dies at, what it leaves is whole, and another goes on from there
// to what a process comes to that does not die.
func TestProcess_that_dies_at_any_step_leaves_all_whole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var scenes atomic.Int64
	act := func(t *testing.T, at int64) (sent int64) {
		n := scenes.Add(1)
		mine := *w
		mine.TB, mine.category = t, fmt.Sprintf("account%d", n)
		s := &scene{world: &mine, n: n, mended: new(atomic.Bool)}
		s.begin()
		var unreadable uuid.UUID
		if err := s.pool.QueryRow(t.Context(), `select event_id from asof.events where category = $1 order by position desc limit 1`, s.category).Scan(&unreadable); err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("dead before message %d", at)
		store, m, ctx := s.process(at)
		ended := make(chan error, 1)
		go func() { ended <- s.play(ctx, store, unreadable) }()
		select {
		case <-m.gone: // what it still does reaches nobody
		case err := <-ended:
			if err != nil && !m.dead.Load() {
				t.Fatalf("a process that lives: %v", err)
			}
		}
		until(t, "its sessions have ended", func() bool {
			return s.number(`select count(*) from pg_stat_activity where application_name = $1 and state <> 'idle'`, s.category) == 0
		})
		s.whole(t, what, unreadable)
		s.exec(`update asof.builds set lease_until = null where name = $1`, s.name()) // 30 seconds later
		if err := s.play(t.Context(), s.store, unreadable); err != nil {
			t.Fatalf("%s, and then: %v", what, err)
		}
		s.whole(t, what+", and then", unreadable)
		if status, err := s.projector(s.store).Status(t.Context()); err != nil || status.Parked != 0 || status.Building != nil {
			t.Fatalf("%s, and then: %+v, %v", what, status, err)
		}
		return m.sent.Load()
	}
	last := act(t, 0)
	t.Logf("%d messages", last)
	if last < 20 {
		t.Fatalf("%d messages: the scene plays nothing", last)
	}
	for at := int64(1); at <= last; at++ {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			act(t, at)
		})
	}
}
