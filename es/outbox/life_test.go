package outbox_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
)

// life is that of the store now.
func (w *world) life() (id uuid.UUID) {
	w.Helper()
	if err := w.pool.QueryRow(w.Context(), `select life from asof.store_identity`).Scan(&id); err != nil {
		w.Fatal(err)
	}
	return id
}

// consume reads n messages of a category as a consumer does, and returns how many
// there are of each life.
func (w *world) consume(category string, n int) map[uuid.UUID]int {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	var mu sync.Mutex
	lives, total := map[uuid.UUID]int{}, 0
	done := make(chan error, 1)
	go func() {
		done <- w.client.Consume(ctx, kafka.Group{Name: w.prefix + uuid.NewString(), Topics: []string{w.prefix + category}, From: kafka.First},
			func(ctx context.Context, part *kafka.Partition) error {
				for {
					messages, err := part.Fetch(ctx, 100)
					if err != nil {
						return err
					}
					mu.Lock()
					for _, m := range messages {
						life, ok := kafka.Life(m)
						if !ok {
							w.Errorf("a message without a life: %v", m.Headers)
						}
						lives[life]++
						total++
					}
					mu.Unlock()
				}
			})
	}()
	w.until("the messages to be read", func() bool { mu.Lock(); defer mu.Unlock(); return total >= n })
	cancel()
	if err := <-done; err != nil { // it was cancelled
		w.Log(err)
	}
	mu.Lock()
	defer mu.Unlock()
	return lives
}

func TestMessages_carry_the_life_of_the_store(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("order", 3, 10)
	first := w.life()
	stop := start(t, w.relay())
	w.wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := outbox.Repair(t.Context(), w.store, 30); err != nil { // nothing was lost
		t.Fatal(err)
	}
	if w.life() != first {
		t.Error("a repair without a loss began another life")
	}
	if err := outbox.Repair(t.Context(), w.store, 20, outbox.EventsLost()); err != nil {
		t.Fatal(err)
	}
	second := w.life()
	var ofRelay uuid.UUID
	if err := w.pool.QueryRow(t.Context(), `select life from asof.relay`).Scan(&ofRelay); err != nil || ofRelay != second || second == first {
		t.Fatalf("life %s before, %s after, %s of the relay: %v", first, second, ofRelay, err)
	}
	w.fill("order", 3, 10)
	start(t, w.relay())
	w.wait()
	if lives := w.consume("order", 70); lives[first] != 30 || lives[second] != 40 || len(lives) != 2 {
		t.Errorf("%v, first %s, second %s", lives, first, second)
	}
}

// A relay that stood still while it published goes on after a repair: what it had under
// way carries the life that it read, it moves nothing, and it publishes the next life
// as that.
func TestRelay_of_an_old_life_publishes_nothing_as_the_new(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w := newWorldAt(t, embeddedtest.Database(t), cluster.ListenAddrs())
	w.append("order", "1", 20)
	old := w.life()
	held, letGo := make(chan struct{}), make(chan struct{})
	var seen atomic.Bool
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if !seen.Swap(true) {
			close(held)
			cluster.SleepControl(func() {
				select {
				case <-letGo:
				case <-t.Context().Done():
				}
			})
		}
		return nil, nil, false
	})
	h, page := newHolder(t, checkpointing), &onePage{t: t, letGo: make(chan struct{})} // the next page would tell it
	start(t, w.relayOf(w.otherPool(multitracer.New(h, page)), outbox.WithBatch(10)))
	w.signal("a page under way", held)

	w.exec(`update asof.relay set lease_until = clock_timestamp() - interval '1 second'`)
	if err := outbox.Repair(t.Context(), w.store, 0, outbox.EventsLost()); err != nil {
		t.Fatal(err)
	}
	life := w.life()
	start(t, w.relay())
	w.append("order", "1", 10)
	w.wait()
	close(letGo)
	w.signal("a late checkpoint", h.held)
	if n := h.wrote(w); n > 0 { // it may have been given up before
		t.Errorf("the late checkpoint wrote %d rows", n)
	}
	close(page.letGo)
	lives := w.consume("order", 40)
	if lives[life] != 30 || lives[old] < 10 || len(lives) != 2 {
		t.Errorf("%v, first %s, second %s", lives, old, life)
	}
}

// Before the first event there is no place in the log by which a relay could be told
// another life.
func TestIdle_relay_of_an_empty_store_notices_another_life(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gaveWay := newWatch("gives way")
	page := &onePage{t: t, letGo: make(chan struct{})} // so that the next does not tell it
	start(t, w.relayOf(w.otherPool(page), outbox.WithLogger(slog.New(gaveWay))))
	w.until("the relay to read", func() bool { return page.reads.Load() > 0 })
	old := w.life()
	w.exec(`update asof.relay set lease_until = clock_timestamp() - interval '1 second'`)
	if err := outbox.Repair(t.Context(), w.store, 0, outbox.EventsLost()); err != nil {
		t.Fatal(err)
	}
	seen := page.reads.Load()
	w.until("the relay to read in the new life", func() bool { return page.reads.Load() > seen+1 })
	w.append("order", "1", 5)
	w.signal("the relay gives way", gaveWay.seen)
	close(page.letGo)
	w.wait()
	if lives := w.consume("order", 5); lives[w.life()] != 5 || len(lives) != 1 {
		t.Errorf("%v, old %s, new %s", lives, old, w.life())
	}
}

// A relay takes over with what its program knew of the life before.
func TestRelay_that_waited_through_a_repair_goes_on_in_the_new_life(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("order", "1", 5)
	waits := w.otherPool(nil)
	if _, err := waits.ReadAfter(t.Context(), es.Checkpoint{Position: 3}, 5); err != nil {
		t.Fatal(err)
	}
	if err := outbox.Repair(t.Context(), w.store, 5, outbox.EventsLost()); err != nil {
		t.Fatal(err)
	}
	start(t, w.relayOf(waits))
	w.append("order", "1", 5)
	w.wait()
	if lives := w.consume("order", 5); lives[w.life()] != 5 || len(lives) != 1 {
		t.Errorf("%v, want life %s", lives, w.life())
	}
}
