package outbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/outbox"
)

// All is stopped, the database put back to a backup, and all started again: nothing in
// the database says so, and a relay that has seen nothing of it refuses all the same, as
// Kafka has what the log has lost.
func TestDatabase_put_back_while_nothing_ran_is_refused(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	w := newWorldAt(t, server.URL(), embeddedtest.Brokers(t))
	w.append("order", "1", 10)
	stop := start(t, w.relay())
	w.wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	backup := server.Backup()
	server.Restart()
	w.pool.Reset()
	stop = start(t, w.relay())
	w.append("order", "1", 5)
	w.wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	published := w.messages("order")
	server.Restore(backup)
	fresh := w.otherPool(nil)
	for range 2 { // also after new events have the positions of the lost
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		err := w.relayOf(fresh).Run(ctx)
		cancel()
		if !errors.Is(err, outbox.ErrRestored) || !strings.Contains(err.Error(), "Kafka has test.happened") || !strings.Contains(err.Error(), "repair") {
			t.Fatalf("the relay ended with %v", err)
		}
		again(w, func() (struct{}, error) { return struct{}{}, w.pool.Ping(t.Context()) })
		w.append("order", "1", 5)
	}
	if n := w.messages("order"); n != published {
		t.Errorf("%d messages, before %d", n, published)
	}
	if err := outbox.Repair(t.Context(), fresh, 10, outbox.EventsLost()); err != nil {
		t.Fatal(err)
	}
	start(t, w.relayOf(w.otherPool(nil)))
	w.until("all is published", func() bool { return w.status().Position >= 20 })
	if n := w.messages("order"); n != published+10 {
		t.Errorf("%d messages after the repair, want %d", n, published+10)
	}
}
