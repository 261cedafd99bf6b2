package outbox_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
)

// What is in the statements of reading a page, of taking the lease, of renewing it and of
// refusing the log, and in no other.
const (
	reading  = "order by position limit"
	taking   = "relay set epoch ="
	refusing = "relay set life = $3, leader = null"
	renewing = "relay set lease_until = clock_timestamp() + make_interval"
)

// A checkpoint of before is on its way to the database while the lease goes to another,
// in each of the ways in which it can: it moves nothing.
func TestLate_checkpoint_moves_nothing(t *testing.T) {
	t.Parallel()
	const gone = `update asof.relay set lease_until = clock_timestamp() - interval '1 second'`
	repair := func(options ...outbox.RepairOption) func(*world) {
		return func(w *world) {
			w.exec(gone)
			if err := outbox.Repair(w.Context(), w.store, 0, options...); err != nil {
				w.Fatal(err)
			}
		}
	}
	for what, lose := range map[string]func(*world){
		"another epoch of the same process": func(w *world) { w.exec(`update asof.relay set epoch = epoch + 1`) },
		"another holder in a row of before": func(w *world) { w.exec(`update asof.relay set leader = 'another'`) },
		"another life":                      func(w *world) { w.exec(`update asof.relay set life = gen_random_uuid()`) },
		"repaired":                          repair(),
		"repaired after a loss":             repair(outbox.EventsLost()),
		"repaired in a row of before": func(w *world) { // which had the epoch before
			w.exec(`update asof.relay set epoch = epoch - 1`)
			repair()(w)
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.append("order", "1", 10)
			h := newHolder(t, checkpointing)
			start(t, w.relayOf(w.otherPool(h)))
			w.signal("a checkpoint on its way", h.held)
			lose(w)
			if n := h.wrote(w); n > 0 { // less than none: it was given up
				t.Errorf("the late checkpoint wrote %d rows", n)
			}
		})
	}
}

// The log that a page was read from is put back while Kafka takes the page.
func TestCheckpoint_moves_to_no_event_that_the_log_has_lost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("order", "1", 10)
	h := newHolder(t, checkpointing)
	done := w.run(w.relayOf(w.otherPool(h), outbox.WithPoll(time.Hour)))
	w.signal("a checkpoint on its way", h.held)
	w.lose(7)
	if n := h.wrote(w); n > 0 { // less than none: it was given up
		t.Errorf("the checkpoint wrote %d rows", n)
	}
	if err := w.ends(done); !isRestored(err) {
		t.Errorf("got %v", err)
	}
}

func TestEpoch_grows_with_every_holder_and_every_repair(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("order", "1", 1)
	var epoch int64
	for range 3 {
		stop := start(t, w.relay())
		w.until("a leader of a new epoch", func() bool { s := w.status(); return s.Leader != "" && s.Epoch > epoch })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		epoch = w.status().Epoch // a relay that met an error has begun several
		if err := outbox.Repair(t.Context(), w.store, 0); err != nil {
			t.Fatal(err)
		}
		if s := w.status(); s.Epoch != epoch+1 {
			t.Fatalf("repaired at epoch %d: %s", epoch, s)
		}
		epoch++
	}
}

// By its own clock a relay knows that its lease is over, whatever holds its renewals
// up, and stops before another can begin.
func TestLease_that_was_not_renewed_in_time_is_given_up(t *testing.T) {
	t.Parallel()
	for what, b := range map[string]*breaker{"they fail": {at: renewing}, "they hang": {at: renewing, hang: true}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			gaveWay := newWatch("gives way")
			start(t, w.relayOf(w.otherPool(b), short(), outbox.WithLogger(slog.New(gaveWay))))
			w.signal("the relay gives way", gaveWay.seen)
			if b.count.Load() == 0 {
				t.Error("no renewal was tried")
			}
			w.append("order", "1", 1) // another term can do all but renew
			w.wait()
		})
	}
}

// A relay died, and the database's clock was set back by an hour.
func TestLease_of_before_the_clock_was_set_back_does_not_last(t *testing.T) {
	t.Parallel()
	const dead = `update asof.relay set epoch = 7, leader = 'dead', lease = interval '1 second', lease_until = clock_timestamp() + interval '1 hour'`
	t.Run("for the next relay", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.append("order", "1", 1)
		w.exec(dead)
		start(t, w.relay())
		w.wait()
		if s := w.status(); s.Epoch != 8 || s.Leader == "dead" {
			t.Error(s)
		}
	})
	t.Run("for status and repair", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.exec(dead)
		if s := w.status(); s.Leader != "" {
			t.Error(s)
		}
		if err := outbox.Repair(t.Context(), w.store, 0); err != nil {
			t.Error(err)
		}
	})
}

// A relay that waits, with a short lease of its own, takes nothing from one that lives,
// though the clock was set back.
func TestLong_lease_is_not_cut_by_one_who_waits_with_a_short(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]string{
		"as it is":                 `select`,
		"the clock was set back":   `update asof.relay set lease_until = lease_until + interval '1 hour'`,
		"of an older program":      `update asof.relay set lease = null, lease_until = lease_until + interval '1 hour'`,
		"the clock was set onward": `update asof.relay set lease_until = lease_until - interval '10 seconds'`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			start(t, w.relay(outbox.WithLease(time.Hour)))
			w.until("a leader", func() bool { return w.status().Leader != "" })
			w.exec(change)
			c := &counter{at: taking}
			start(t, w.relayOf(w.otherPool(c), outbox.WithLease(200*time.Millisecond)))
			w.until("the other to try for longer than its lease", func() bool { return c.count.Load() > 20 })
			var lasts time.Duration
			if err := w.pool.QueryRow(t.Context(), `select lease_until - clock_timestamp() from asof.relay`).Scan(&lasts); err != nil {
				t.Fatal(err)
			}
			s := w.status()
			if s.Epoch != 1 || s.Leader == "" || lasts < 50*time.Minute {
				t.Errorf("%s, lease for %s", s, lasts)
			}
			if what == "the clock was set back" && lasts > time.Hour {
				t.Errorf("the lease still lasts for %s", lasts)
			}
		})
	}
}

// A restore of some of the tables may leave the row out.
func TestRelay_without_a_row_to_lease_says_so(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("order", "1", 3)
	w.exec(`delete from asof.relay`)
	if err := w.refused(false, w.store); !isRestored(err) {
		t.Errorf("Run: %v", err)
	}
	if _, err := outbox.ReadStatus(t.Context(), w.store); !isRestored(err) {
		t.Errorf("ReadStatus: %v", err)
	}
	if err := outbox.Repair(t.Context(), w.store, 0); err != nil {
		t.Fatal(err)
	}
	start(t, w.relay())
	w.wait()
	w.verify("order")
}

// lose takes the events after a position out of the log, as a restore does.
func (w *world) lose(after es.Position) {
	w.Helper()
	tx, err := w.pool.Begin(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if _, err := tx.Exec(w.Context(), `set local session_replication_role = replica`); err != nil { // past the trigger
		w.Fatal(err)
	}
	if _, err := tx.Exec(w.Context(), `delete from asof.events where position > $1`, int64(after)); err != nil {
		w.Fatal(err)
	}
	if err := tx.Commit(w.Context()); err != nil {
		w.Fatal(err)
	}
}
