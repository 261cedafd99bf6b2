package outbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
)

func TestEvents_arrive_as_they_were_recorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := es.WithMetadata(t.Context(), es.Metadata{
		CorrelationID: "c-1", CausationID: "m-1", Extra: map[string]string{"tenant": "blue"},
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", TraceState: "a=b",
	})
	data := []es.EventData{
		{ID: es.NewID(), Type: "order.placed", Schema: 2, Data: []byte(`{"total": 12.50}`), Metadata: es.MetadataFrom(ctx)},
		{ID: es.NewID(), Type: "order.scanned", ContentType: "application/octet-stream", Data: []byte{0, 1, 255}},
	}
	recorded, err := w.store.Append(ctx, es.StreamID{Category: "order", ID: "ö 1"}, es.NoStream, data...)
	if err != nil {
		t.Fatal(err)
	}
	start(t, w.relay())
	w.wait()
	var got []es.RecordedEvent
	for _, messages := range w.published(w.prefix + "order") {
		for _, m := range messages {
			if string(m.Key) != "ö 1" {
				t.Errorf("key %q", m.Key)
			}
			headers := map[string]string{}
			for _, h := range m.Headers {
				headers[h.Key] = string(h.Value)
			}
			if headers["ce_source"] != source || headers["ce_specversion"] != "1.0" {
				t.Errorf("headers %v", headers)
			}
			got = append(got, w.eventOf(m))
		}
	}
	if diff := cmp.Diff(recorded, got); diff != "" {
		t.Fatalf("(-recorded +published):\n%s", diff)
	}
}

func TestEvents_of_each_key_come_in_order(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("early", 20, 50)
	start(t, w.relay(outbox.WithBatch(97)))
	stops := []func(){w.load("order", 4), w.load("product", 2)}
	w.until("2000 events published", func() bool { return w.status().Position > 3000 })
	for _, stop := range stops {
		stop()
	}
	w.wait()
	for _, category := range []string{"early", "order", "product"} {
		if repeats := w.verify(category); repeats > 0 {
			t.Errorf("%s: %d repeats without a failure", category, repeats)
		}
	}
}

func TestRestart_goes_on_where_it_stopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stopLoad := w.load("order", 3)
	for range 6 {
		stop := start(t, w.relay(outbox.WithBatch(50)))
		from := w.status().Position
		w.until("300 more", func() bool { return w.status().Position > from+300 })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if s := w.status(); s.Leader != "" || s.Failure != "" {
			t.Fatalf("after a clean stop: %s", s)
		}
	}
	stopLoad()
	start(t, w.relay())
	w.wait()
	if repeats := w.verify("order"); repeats > 0 {
		t.Errorf("%d repeats after clean stops", repeats)
	}
}

// Large events do not make large pages.
func TestLarge_events_are_published(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	payload := []byte(`"` + strings.Repeat("x", es.MaxData-2) + `"`)
	for range 12 { // more than a page
		event := es.EventData{ID: es.NewID(), Type: "test.large", Data: payload, Metadata: es.Metadata{Extra: map[string]string{"note": strings.Repeat("n", 30<<10)}}}
		if _, err := w.store.Append(t.Context(), es.StreamID{Category: "large", ID: "1"}, es.Any, event); err != nil {
			t.Fatal(err)
		}
	}
	start(t, w.relay())
	w.wait()
	w.verify("large")
}

func TestWhat_a_relay_cannot_work_with_is_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for text, r := range map[string]*outbox.Relay{
		"no store":               outbox.New(nil, w.client, source),
		"no Kafka client":        outbox.New(w.store, nil, source),
		"source is empty":        outbox.New(w.store, w.client, ""),
		"source has 257 bytes":   outbox.New(w.store, w.client, strings.Repeat("s", 257)),
		`source "/a\x00"`:        outbox.New(w.store, w.client, "/a\x00"),
		`source "/a b"`:          outbox.New(w.store, w.client, "/a b"),
		`source "/\xff"`:         outbox.New(w.store, w.client, "/\xff"),
		"WithLogger(nil)":        w.relay(outbox.WithLogger(nil)),
		"0 partitions: give":     w.relay(outbox.WithPartitions(0)),
		"0 partitions for order": w.relay(outbox.WithPartitions(0, "order")),
		"-1 replicas":            w.relay(outbox.WithReplication(-1)),
		"lease of 199ms":         w.relay(outbox.WithLease(199 * time.Millisecond)),
		"poll every 0s":          w.relay(outbox.WithPoll(0)),
		"batch of 0 events":      w.relay(outbox.WithBatch(0)),
	} {
		if err := w.runs(r); !errors.Is(err, outbox.ErrInvalid) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	empty := pgstore.New(embeddedtest.Pool(t))
	if err := w.runs(w.relayOf(empty)); err == nil || !strings.Contains(err.Error(), "run the migrations") {
		t.Error(err)
	}
	if _, err := outbox.ReadStatus(t.Context(), empty); err == nil || !strings.Contains(err.Error(), "run the migrations") {
		t.Error(err)
	}
}

func TestStatus_counts_what_waits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if s := w.status(); s != (outbox.Status{}) {
		t.Fatalf("of an empty store: %+v", s)
	}
	w.fill("order", 3, 10)
	if s := w.status(); s.Lag != 30 || s.Behind <= 0 || s.Position != 0 {
		t.Fatalf("before the relay: %+v", s)
	}
	start(t, w.relay())
	w.wait()
	w.until("the leader to be shown", func() bool {
		s := w.status()
		return s.Lag == 0 && s.Behind == 0 && s.Leader != "" && s.Epoch == 1 && s.Failure == ""
	})
}

func TestUnreachable_broker_is_shown_and_tried_again(t *testing.T) {
	t.Parallel()
	w := newWorldAt(t, embeddedtest.Database(t), []string{"127.0.0.1:1"})
	w.append("order", "1", 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.relay().Run(ctx) }()
	w.until("the failure to be shown", func() bool { return w.status().Failure != "" })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s := w.status(); s.Position != 0 || s.Lag != 1 {
		t.Fatal(s)
	}
}
