package outbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
)

// gated is a world whose brokers do not write to a partition while it is shut, and never what
// is invalid.
type gated struct {
	*world
	shut  atomic.Int64 // partition; below zero: none
	tried atomic.Int64 // requests that it has kept out
}

func newGated(t *testing.T) *gated {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	g := &gated{world: newWorldAt(t, embeddedtest.Database(t), cluster.ListenAddrs())}
	g.shut.Store(-1)
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := r.(*kmsg.ProduceRequest).Topics[0].Partitions[0] // its key was asked for
		switch {
		case int64(asked.Partition) == g.shut.Load():
			g.tried.Add(1)
			return refuseToWrite(r, kerr.NotEnoughReplicas.Code), nil, true
		case bytes.Contains(asked.Records, []byte("invalid")):
			return refuseToWrite(r, kerr.InvalidRecord.Code), nil, true
		}
		return nil, nil, false
	})
	return g
}

// streams returns a stream for each of the partitions, which the relay has published to.
func (g *gated) streams(partitions int) []string {
	g.Helper()
	names, left := make([]string, partitions), partitions
	for n := 0; left > 0; n++ {
		g.append("order", fmt.Sprint(n), 1)
		g.wait()
		for partition, messages := range g.published(g.prefix + "order") {
			if names[partition] == "" && len(messages) > 0 {
				names[partition] = g.eventOf(messages[0]).Stream.ID
				left--
			}
		}
	}
	return names
}

func (g *gated) heads() map[int]int64 {
	g.Helper()
	heads, err := g.client.Heads(g.Context(), g.prefix+"order")
	if err != nil {
		g.Fatal(err)
	}
	return heads
}

// While a partition is slow the others are published on, in later pages; the checkpoint waits
// for all of them.
func TestRelay_goes_on_while_a_partition_is_slow(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	stop := start(t, g.relay())
	streams := g.streams(3)
	before, heads := g.status().Position, g.heads()
	g.shut.Store(1)
	g.append("order", streams[1], 2)
	g.until("the partition is tried", func() bool { return g.tried.Load() > 0 })
	for n := range 5 {
		g.append("order", streams[0], 1)
		g.append("order", streams[2], 1)
		g.append("order", streams[1], 1)
		g.until("the others are published", func() bool {
			now := g.heads()
			return now[0] == heads[0]+int64(n+1) && now[2] == heads[2]+int64(n+1)
		})
	}
	if s := g.status(); s.Position != before {
		t.Errorf("the checkpoint is at %d, and what comes after %d is not acknowledged", s.Position, before)
	}
	g.shut.Store(-1)
	g.wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if repeats := g.verify("order"); repeats != 0 {
		t.Errorf("%d messages were repeated", repeats)
	}
}

// A relay that ends while several pages are not acknowledged has moved the checkpoint over
// none of them: the next one publishes them all.
func TestRelay_that_ends_with_pages_under_way_loses_none(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	stop := start(t, g.relay())
	streams := g.streams(3)
	before, heads := g.status().Position, g.heads()
	g.shut.Store(1)
	g.append("order", streams[1], 1)
	g.until("the partition is tried", func() bool { return g.tried.Load() > 0 })
	g.append("order", streams[1], 1)
	g.append("order", streams[0], 1)
	g.until("a later page is published", func() bool { return g.heads()[0] == heads[0]+1 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if s := g.status(); s.Position != before {
		t.Fatalf("the checkpoint is at %d, want %d", s.Position, before)
	}
	g.shut.Store(-1)
	start(t, g.relay())
	g.wait()
	if repeats := g.verify("order"); repeats == 0 {
		t.Error("the later page was not published before, so this proves nothing")
	}
}

// What comes after an event that the broker refuses is not published, though it was given to
// the producer before anybody knew.
func TestRelay_publishes_nothing_after_an_event_that_is_refused(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	relay := g.run(g.relay())
	streams := g.streams(3)
	before, heads := g.status().Position, g.heads()
	g.shut.Store(1)
	g.append("order", streams[1], 1)
	g.until("the partition is tried", func() bool { return g.tried.Load() > 0 })
	invalid := es.EventData{ID: es.NewID(), Type: "test.happened", Data: []byte(`"invalid"`)}
	if _, err := g.store.Append(t.Context(), es.StreamID{Category: "order", ID: streams[1]}, es.Any, invalid); err != nil {
		t.Fatal(err)
	}
	for n := range 2 { // in a page of its own, and the next too
		g.append("order", streams[0], 1)
		g.until("a later page is published", func() bool { return g.heads()[0] == heads[0]+int64(n+1) })
		g.append("order", streams[1], 1)
	}
	g.shut.Store(-1)
	if err := g.ends(relay); !errors.Is(err, kafka.ErrInvalid) || errors.Is(err, kafka.ErrBehind) {
		t.Errorf("the relay ends with %v", err)
	}
	if now := g.heads(); now[1] != heads[1]+1 {
		t.Errorf("%d events of the stream are published after what was there, want the one before the event that is refused", now[1]-heads[1])
	}
	if s := g.status(); s.Position > before+1 {
		t.Errorf("the checkpoint is at %d, beyond the event that is refused", s.Position)
	}
}

// large is an event of half a megabyte.
func large() es.EventData {
	return es.EventData{ID: es.NewID(), Type: "test.large", Data: fmt.Appendf(nil, `"%s"`, strings.Repeat("x", 500_000))}
}

// How much is sent ahead is bounded by its bytes, and what is acknowledged makes room.
func TestRelay_sends_so_much_ahead_and_no_more(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	start(t, g.relay())
	streams := g.streams(3)
	heads := g.heads()
	g.shut.Store(1)
	for range 10 {
		if _, err := g.store.Append(t.Context(), es.StreamID{Category: "order", ID: streams[1]}, es.Any, large(), large(), large(), large()); err != nil {
			t.Fatal(err)
		}
	}
	g.until("the partition is tried", func() bool { return g.tried.Load() > 0 })
	last := g.append("order", streams[0], 1)
	pause(t.Context(), 500*time.Millisecond)
	if now := g.heads(); now[0] != heads[0] {
		t.Error("20 MB are not acknowledged, and more was sent")
	}
	g.shut.Store(-1)
	g.until("all is published", func() bool { return g.status().Position == last })
	g.verify("order")
}

// A topic that somebody makes anew with fewer partitions, while the relay waits for it, ends
// the relay with what to do.
func TestTopic_made_anew_with_fewer_partitions_ends_a_relay_that_waits(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	relay := g.run(g.relay())
	streams := g.streams(3)
	g.shut.Store(1)
	g.append("order", streams[1], 1)
	g.until("the partition is tried", func() bool { return g.tried.Load() > 0 })
	g.deleteTopic("order")
	if err := g.client.EnsureTopics(t.Context(), kafka.Topic{Name: g.prefix + "order", Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	err := g.ends(relay)
	if !errors.Is(err, outbox.ErrPartitions) || !strings.Contains(err.Error(), "WithPartitions") || strings.Contains(err.Error(), "in time") {
		t.Errorf("%v", err)
	}
}
