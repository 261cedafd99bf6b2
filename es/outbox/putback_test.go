package outbox_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
)

// messages counts those of a category's topic.
func (w *world) messages(category string) (n int64) {
	w.Helper()
	heads, err := w.client.Heads(w.Context(), w.prefix+category)
	if err != nil {
		w.Fatal(err)
	}
	for _, head := range heads {
		n += head
	}
	return n
}

// putBack is a database that was put back to a backup under a relay that runs.
func (w *world) putBack(server *embeddedtest.TestServer, b *embeddedtest.Backup) {
	w.Helper()
	server.Restore(b)
	w.until("the database to answer", func() bool { return w.pool.Ping(w.Context()) == nil })
	w.pool.Reset() // of sessions that do not know yet
}

// goesOnAfterRepair expects that no relay publishes before a repair, whichever process
// it is in and whatever was appended since, and all does after it.
func (w *world) goesOnAfterRepair(from es.Position) {
	w.Helper()
	if err := w.refused(false, pgstore.New(w.pool)); !isRestored(err) || !strings.Contains(err.Error(), "it was not repaired since") {
		w.Errorf("a relay that starts anew: %v", err)
	}
	before := w.messages("order")
	w.append("order", "1", 3) // of its positions and versions some were given before
	if err := w.refused(false, pgstore.New(w.pool)); !isRestored(err) {
		w.Errorf("a relay that starts anew, after an append: %v", err)
	}
	if s := w.status(); w.messages("order") != before || s.Failure == "" || s.Leader != "" || s.Position != from {
		w.Errorf("%d messages before, %d after: %s", before, w.messages("order"), s)
	}
	if err := outbox.Repair(w.Context(), w.store, from, outbox.EventsLost()); err != nil {
		w.Fatal(err)
	}
	start(w, w.relay())
	w.wait()
	if lives := w.consume("order", int(before)+3); lives[w.life()] < 3 {
		w.Errorf("%v, want life %s", lives, w.life())
	}
}

func TestDatabase_put_back_under_a_relay_is_refused_until_it_is_repaired(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{true, false} {
		t.Run(fmt.Sprintf("running_%t", running), func(t *testing.T) {
			t.Parallel()
			server := embeddedtest.Server(t)
			w := newWorldAt(t, server.URL(), embeddedtest.Brokers(t))
			w.append("order", "1", 10)
			done := w.run(w.relay())
			w.wait()
			backup := server.Backup()
			w.append("order", "1", 5)
			w.wait()
			if !running {
				server.Stop() // its relay meets the past when it can connect again
			}
			w.putBack(server, backup)
			if err := w.ends(done); !isRestored(err) {
				t.Fatal(err)
			}
			w.goesOnAfterRepair(10)
		})
	}
}

// Kafka is down, and the relay has pages under way of which the database knows nothing
// any more: it does not wait for Kafka to say so.
func TestDatabase_put_back_while_Kafka_is_down_is_refused(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	network, brokers := cluster(t)
	w := newWorldAt(t, server.URL(), brokers)
	w.append("order", "1", 10)
	pages := &counter{at: reading}
	done := w.run(w.relayOf(w.otherPool(pages), short(), outbox.WithBatch(10)))
	w.wait()
	backup := server.Backup()
	network.stop()
	seen := pages.count.Load()
	w.append("order", "1", 100)
	w.until("the failure to be shown", func() bool { return w.status().Failure != "" })
	w.until("pages to be read", func() bool { return pages.count.Load() >= seen+2 })
	w.putBack(server, backup)
	if err := w.ends(done); !isRestored(err) {
		t.Fatal(err)
	}
	network.down.Store(false)
	w.until("Kafka to answer", func() bool { return w.client.Ping(t.Context()) == nil })
	if n := w.messages("order"); n != 10 {
		t.Errorf("%d messages", n)
	}
	w.goesOnAfterRepair(10)
}

// The same where the relay's row is as it was, so that it says nothing, and the relay reads
// nothing, as Kafka takes nothing: it looks at its log whenever it renews its lease.
func TestLog_that_is_put_back_while_Kafka_is_down_is_noticed_on_renewal(t *testing.T) {
	t.Parallel()
	network, brokers := cluster(t)
	w := newWorldAt(t, embeddedtest.Database(t), brokers)
	w.append("order", "1", 10)
	pages := &counter{at: reading}
	done := w.run(w.relayOf(w.otherPool(pages), short(), outbox.WithBatch(10)))
	w.wait()
	network.stop()
	seen := pages.count.Load()
	w.append("order", "1", 100)
	w.until("the failure to be shown", func() bool { return w.status().Failure != "" })
	w.until("pages to be read", func() bool { return pages.count.Load() >= seen+2 })
	w.lose(10)
	if err := w.ends(done); !isRestored(err) {
		t.Error(err)
	}
	network.down.Store(false)
	w.until("Kafka to answer", func() bool { return w.client.Ping(t.Context()) == nil })
	if n := w.messages("order"); n != 10 {
		t.Errorf("%d messages", n)
	}
}

// A relay that waits for the lease has it as soon as the database is put back.
func TestDatabase_put_back_is_refused_by_the_relay_that_waits_too(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	w := newWorldAt(t, server.URL(), embeddedtest.Brokers(t))
	w.append("order", "1", 10)
	done := w.run(w.relay(short()))
	w.wait()
	waits := w.run(w.relayOf(w.otherPool(nil), short()))
	backup := server.Backup()
	w.append("order", "1", 5)
	w.wait()
	w.putBack(server, backup)
	for what, c := range map[string]<-chan error{"active": done, "waiting": waits} {
		if err := w.ends(c); !isRestored(err) {
			t.Errorf("the relay that was %s: %v", what, err)
		}
	}
	w.goesOnAfterRepair(10)
}

// A relay of before says that the log was put back when somebody has repaired it
// already: what the repair has written is newer, and stays as it is.
func TestRelay_of_before_does_not_undo_a_repair(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("order", "1", 10)
	h := newHolder(t, refusing)
	done := w.run(w.relayOf(w.otherPool(h)))
	w.wait()
	w.lose(7) // the relay sees it when it reads on, and is about to say so
	w.signal("the relay finds that the log was put back", h.held)
	w.exec(`update asof.relay set lease_until = clock_timestamp() - interval '1 second'`)
	w.must(outbox.Repair(t.Context(), w.store, 7, outbox.EventsLost()))
	if n := h.wrote(w); n > 0 { // less than none: it was given up
		t.Errorf("it wrote %d rows", n)
	}
	if err := w.ends(done); !isRestored(err) {
		t.Error(err)
	}
	w.append("order", "1", 1)
	start(t, w.relayOf(pgstore.New(w.pool)))
	w.wait()
}
