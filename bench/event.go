package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// streamLength is how many events a stream of the benchmarks gets.
const streamLength = 10

// payload is what every event carries: 200 bytes of JSON.
func payload() []byte { return fmt.Appendf(nil, `{"text":"%0189d"}`, 0) }

// newEvents returns events of one stream.
func newEvents(n int, m es.Metadata) []es.EventData {
	events := make([]es.EventData, n)
	data := payload()
	for i := range events {
		events[i] = es.EventData{ID: es.NewID(), Type: "bench.appended", Data: data, Metadata: m}
	}
	return events
}

// someMetadata is what a traced request leaves in its events.
func someMetadata() es.Metadata {
	return es.Metadata{
		CorrelationID: uuid.NewString(), CausationID: uuid.NewString(),
		TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
}

func newStream() es.StreamID { return es.StreamID{Category: "bench", ID: uuid.NewString()} }

// fill appends n events, in streams of the usual length.
func fill(ctx context.Context, store *pgstore.Store, n int, m es.Metadata) error {
	const writers = 8
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for range n / streamLength {
		if inner.Err() != nil {
			break
		}
		group.Go(func() error {
			_, err := store.Append(inner, newStream(), es.NoStream, newEvents(streamLength, m)...)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	_, err := store.Pool().Exec(ctx, `vacuum (analyze) `+store.Schema()+`.events`)
	return err
}
