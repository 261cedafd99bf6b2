//go:build realkafka

// Package interop reads what the relay has published with a client that is not ours:
// the SDK of CloudEvents for Java, on Kafka's own consumer. It is run by make
// test/kafka.
package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/internal/realkafka"
)

const (
	source   = "/interop"
	category = "account"
	patience = 2 * time.Minute
)

// seen is an event as the reader saw it.
type seen struct {
	Key                    string
	Attributes, Extensions map[string]string
	Data                   []byte
}

// wanted is what CloudEvents has to say of a recorded event.
func wanted(e es.RecordedEvent, life uuid.UUID) seen {
	s := seen{Key: e.Stream.ID, Data: e.Data}
	s.Attributes = map[string]string{
		"specversion": "1.0", "id": e.ID.String(), "source": source, "type": e.Type, "subject": e.Stream.ID,
		"time": e.RecordedAt.Format("2006-01-02T15:04:05.000000000"), "datacontenttype": e.ContentType,
	}
	s.Extensions = map[string]string{
		"category": e.Stream.Category, "version": strconv.FormatInt(int64(e.Version), 10), "position": strconv.FormatInt(int64(e.Position), 10), "schema": strconv.Itoa(e.Schema),
		"life": life.String(),
	}
	for name, value := range map[string]string{
		"correlationid": e.Metadata.CorrelationID, "causationid": e.Metadata.CausationID,
		"traceparent": e.Metadata.TraceParent, "tracestate": e.Metadata.TraceState,
	} {
		if value != "" {
			s.Extensions[name] = value
		}
	}
	maps.Copy(s.Extensions, e.Metadata.Extra)
	return s
}

func TestTheSDK_for_Java_reads_what_the_relay_publishes(t *testing.T) {
	t.Parallel()
	config := realkafka.Config{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	cluster, err := realkafka.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	}()
	store := pgstoretest.New(t)
	recorded := fill(t, store)
	publish(t, store, cluster.Brokers(), config.Logger)
	life, err := store.Life(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, config, cluster.Brokers())
	if len(got) != len(recorded) {
		t.Errorf("%d events were read, %d appended", len(got), len(recorded))
	}
	for _, e := range recorded {
		if diff := cmp.Diff(wanted(e, life), got[e.ID.String()]); diff != "" {
			t.Errorf("%s version %d: -appended +read\n%s", e.Stream, e.Version, diff)
		}
	}
}

// fill appends events of each kind, and returns what the store has recorded.
func fill(t *testing.T, store *pgstore.Store) []es.RecordedEvent {
	t.Helper()
	binary := make([]byte, 256) // each byte
	for i := range binary {
		binary[i] = byte(i)
	}
	full := es.Metadata{
		CorrelationID: "request \"7\"", CausationID: es.NewID().String(),
		TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", TraceState: "a=1,b=2",
		Extra: map[string]string{"tenant": "Čapek & 東京 😀", "empty": "", "abcdefghij0123456789": "a long name"},
	}
	for stream, events := range map[string][]es.EventData{
		"plain": {
			{Type: "account.opened", Data: []byte(`{"owner":"Zoë","limit":1.50}`)},
			{Type: "account:Renamed_v2/x-y", Schema: 7, ContentType: "application/avro", Data: binary},
		},
		"žluťoučký-東京/😀 %20": {
			{Type: "account.opened", Data: []byte(`null`), Metadata: full},
			{Type: "account.photo", ContentType: "image/png", Data: binary, Metadata: full},
			{Type: "account.noted", ContentType: "text/plain; charset=utf-8", Data: []byte("grüße\n")},
			{Type: "account.touched", ContentType: "application/octet-stream", Data: []byte{}},
		},
	} {
		for i := range events {
			events[i].ID = es.NewID()
		}
		id := es.StreamID{Category: category, ID: stream}
		if _, err := store.Append(t.Context(), id, es.Any, events...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Settle(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	recorded, err := store.Read(t.Context(), 0, 100)
	if err != nil || len(recorded) != 6 {
		t.Fatalf("%d events are in the log: %v", len(recorded), err)
	}
	return recorded
}

// publish runs the relay until it has published all.
func publish(t *testing.T, store *pgstore.Store, brokers []string, logger *slog.Logger) {
	t.Helper()
	client, err := kafka.New(kafka.Config{Brokers: brokers, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- outbox.New(store, client, source, outbox.WithLogger(logger)).Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	head, err := store.Settle(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		status, err := outbox.ReadStatus(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		if status.Position >= head {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			t.Fatalf("not published: %s", status)
		}
	}
}

// read returns the events of the topic by their ids.
func read(t *testing.T, config realkafka.Config, brokers []string) map[string]seen {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd, err := realkafka.Java(ctx, config, []realkafka.Artifact{
		{Group: "io.cloudevents", Name: "cloudevents-kafka", Version: "4.0.1"},
		{Group: "org.apache.kafka", Name: "kafka-clients", Version: "4.3.1"},
		{Group: "org.slf4j", Name: "slf4j-simple", Version: "1.7.36"},
	}, "testdata/Reader.java", strings.Join(brokers, ","), category)
	if err != nil {
		t.Fatal(err)
	}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("the reader: %v\n%s", err, problems.String())
	}
	events := make(map[string]seen)
	for line := range strings.Lines(out.String()) {
		var s seen
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		events[s.Attributes["id"]] = s
	}
	return events
}
