package outbox_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
)

func TestOne_relay_is_active_at_a_time(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var stops []func() error
	for range 3 {
		stops = append(stops, start(t, w.relay()))
	}
	stopLoad := w.load("order", 2)
	for i, stop := range stops {
		w.until("an active relay that publishes", func() bool {
			s := w.status()
			return s.Leader != "" && s.Position > es.Position(500*(i+1))
		})
		if s := w.status(); s.Epoch > int64(i+1) {
			t.Fatalf("%d relays were stopped and the epoch is %d: two fight for the lease", i, s.Epoch)
		}
		if i < 2 {
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
	}
	stopLoad()
	w.wait()
	if repeats := w.verify("order"); repeats > 0 {
		t.Errorf("%d repeats after clean stops", repeats)
	}
}

// freezer holds up every statement of a pool from one on, as if the process stood
// still.
type freezer struct {
	t      testing.TB
	at     string
	frozen chan struct{} // closed when it begins
	thaw   chan struct{} // close it to go on
	once   sync.Once
}

func newFreezer(t testing.TB, at string) *freezer {
	return &freezer{t: t, at: at, frozen: make(chan struct{}), thaw: make(chan struct{})}
}

func (f *freezer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, f.at) {
		f.once.Do(func() { close(f.frozen) })
	}
	select {
	case <-f.frozen:
		select {
		case <-f.thaw:
		case <-f.t.Context().Done(): // the test has failed
		}
	default:
	}
	return ctx
}

func (f *freezer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// short is a lease that runs out soon.
func short() outbox.Option { return outbox.WithLease(time.Second) }

// checkpointing is in the statement that moves the checkpoint and in no other.
const checkpointing = "relay set position ="

func TestRelay_that_stands_still_is_replaced_and_moves_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFreezer(t, checkpointing)
	w.fill("order", 5, 20)
	gaveWay := newWatch("gives way")
	sleepy := w.relayOf(w.otherPool(f), outbox.WithBatch(10), short(), outbox.WithLogger(slog.New(gaveWay)))
	start(t, sleepy)
	w.signal("a checkpoint", f.frozen) // it has published a page and is about to say so

	start(t, w.relay())
	w.fill("order", 5, 20)
	w.wait()
	taken := w.status()
	if taken.Epoch != 2 {
		t.Fatalf("no takeover: %s", taken)
	}
	close(f.thaw)
	w.signal("the relay gives way", gaveWay.seen)
	if s := w.status(); s.Position != taken.Position || s.Epoch != 2 || s.Leader != taken.Leader {
		t.Fatalf("the old relay changed %s to %s", taken, s)
	}
	w.fill("order", 5, 20)
	w.wait()
	w.verify("order")
}

// The lease of a relay that was killed runs out.
func TestKilled_relay_is_replaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("order", 5, 20)
	f := newFreezer(t, checkpointing)
	start(t, w.relayOf(w.otherPool(f), outbox.WithBatch(10), short()))
	w.signal("a checkpoint", f.frozen)
	start(t, w.relay())
	begin := time.Now()
	w.wait()
	t.Logf("taken over and published after %s", time.Since(begin))
	if repeats := w.verify("order"); repeats == 0 {
		t.Error("nothing was repeated, so the kill came too late to prove anything")
	}
}

func TestKilled_sessions_lose_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start(t, w.relay(outbox.WithBatch(500)))
	stop := w.load("order", 2)
	conn, err := pgx.ConnectConfig(t.Context(), w.pool.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	killed := int64(0)
	for killed < 30 {
		var n int64
		err := conn.QueryRow(t.Context(), `
			select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
			  and state = 'active' and query ~ 'relay|order by position'`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		killed += n
	}
	stop()
	w.wait()
	w.verify("order")
}

// The lease is lost while Kafka holds back the answer to a page: the next relay
// publishes the page, and what the old one had under way comes after that.
func TestLease_lost_while_a_page_is_under_way(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w := newWorldAt(t, embeddedtest.Database(t), cluster.ListenAddrs())
	w.fill("order", 5, 20)
	held, letGo := make(chan struct{}), make(chan struct{})
	var seen atomic.Bool
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if !seen.Swap(true) {
			close(held)
			cluster.SleepControl(func() {
				select {
				case <-letGo:
				case <-t.Context().Done(): // the test has failed
				}
			})
		}
		return nil, nil, false
	})
	gaveWay := newWatch("gives way")
	old := w.relay(short(), outbox.WithBatch(10), outbox.WithLogger(slog.New(gaveWay)))
	start(t, old)
	w.signal("a page under way", held)
	if _, err := w.pool.Exec(t.Context(), `update asof.relay set epoch = epoch + 1, leader = null, lease_until = null`); err != nil {
		t.Fatal(err)
	}
	start(t, w.relay())
	w.signal("the relay gives way", gaveWay.seen)
	w.wait()
	taken := w.status()
	close(letGo)
	w.fill("order", 5, 20)
	w.wait()
	w.until("what was under way is written", func() bool { return w.verify("order") > 0 })
	if s := w.status(); s.Epoch < 3 || s.Position < taken.Position {
		t.Fatalf("%s after %s", s, taken)
	}
}

// pauses are those that a relay says it makes after failures.
type pauses struct {
	slog.Handler
	made chan time.Duration
}

func (p pauses) Enabled(context.Context, slog.Level) bool { return true }
func (p pauses) WithAttrs([]slog.Attr) slog.Handler       { return p }
func (p pauses) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "in" && strings.Contains(r.Message, "try again") {
			p.made <- a.Value.Duration()
		}
		return true
	})
	return nil
}

func TestPause_after_a_failure_grows_until_something_is_published(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("order", "1", 5)
	var failing atomic.Value
	failing.Store(taking)
	p := pauses{slog.DiscardHandler, make(chan time.Duration, 100)}
	f := &failer{func(sql string) bool { return strings.Contains(sql, failing.Load().(string)) }}
	start(t, w.relayOf(w.otherPool(f), outbox.WithLogger(slog.New(p))))
	for _, want := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond} {
		if got := received(w, p.made); got != want {
			t.Fatalf("pause of %s, want %s", got, want)
		}
	}
	failing.Store("nothing at all")
	w.wait()
	for len(p.made) > 0 {
		<-p.made
	}
	failing.Store(checkpointing)
	w.append("order", "1", 5)
	if got := received(w, p.made); got != 100*time.Millisecond {
		t.Errorf("pause of %s after something was published", got)
	}
	failing.Store("nothing at all")
	w.wait()
	w.verify("order")
}

// Roles that may only read get the moments that relays have made final, however long
// their lease is.
func TestRelay_keeps_the_present_final(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start(t, w.relay(outbox.WithLease(time.Hour)))
	var last time.Time
	for range 2 {
		w.until("a later moment to be final", func() bool {
			var moment time.Time
			err := w.pool.QueryRow(t.Context(), `select coalesce(moment, 'epoch') from asof.settled_head`).Scan(&moment)
			later := err == nil && moment.Unix() > 0 && moment.After(last)
			if later {
				last = moment
			}
			return later
		})
	}
}

// reasons are those for which a relay says that it gives way.
type reasons struct {
	slog.Handler
	given chan string
}

func (r reasons) Enabled(context.Context, slog.Level) bool { return true }
func (r reasons) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r reasons) Handle(_ context.Context, record slog.Record) error {
	if strings.Contains(record.Message, "gives way") {
		record.Attrs(func(a slog.Attr) bool { r.given <- a.Value.String(); return true })
	}
	return nil
}

// It does not go on until its own lease is over.
func TestLease_that_another_has_is_noticed_at_the_next_renewal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("order", "1", 1)
	r := reasons{slog.DiscardHandler, make(chan string, 10)}
	start(t, w.relay(outbox.WithLease(3*time.Second), outbox.WithLogger(slog.New(r))))
	w.wait()
	w.exec(`update asof.relay set epoch = epoch + 1, leader = 'another'`)
	if why := received(w, r.given); !strings.Contains(why, "another relay has taken it") || strings.Contains(why, "in time") {
		t.Error(why)
	}
}

// What is under way when a relay is stopped is finished.
func TestStop_waits_for_the_page_that_is_under_way(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w := newWorldAt(t, embeddedtest.Database(t), cluster.ListenAddrs())
	w.append("order", "1", 10)
	held, letGo := make(chan struct{}), make(chan struct{})
	var seen atomic.Bool
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if !seen.Swap(true) {
			close(held)
			cluster.SleepControl(func() {
				select {
				case <-letGo:
				case <-t.Context().Done(): // the test has failed
				}
			})
		}
		return nil, nil, false
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.relay().Run(ctx) }()
	w.signal("a page under way", held)
	cancel()
	close(letGo)
	w.must(w.ends(done))
	if s := w.status(); s.Position != 10 || s.Leader != "" || s.Failure != "" {
		t.Error(s)
	}
}
