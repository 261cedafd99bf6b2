package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/asof-dev/asof/es"
)

func logOrder(w *world) {
	if got := w.logAll(10); len(got) != 0 {
		w.Errorf("the log of an empty store has %d events", len(got))
	}
	var all []es.RecordedEvent
	for n := range 10 {
		all = append(all, w.append(strconv.Itoa(n%3), es.Any, data(1+n%4)...)...)
	}
	w.same("the log is what append returned, in that order", all, w.logAll(1000))
}

func logPages(w *world) {
	all := w.append("1", es.NoStream, data(1000)...)
	all = append(all, w.append("2", es.NoStream, data(999)...)...)
	all = append(all, w.append("1", es.Any, data(500)...)...)
	for _, limit := range []int{7, 1000, 5000} {
		w.same(fmt.Sprintf("in pages of %d", limit), all, w.logAll(limit))
	}
	middle := all[1234]
	events, err := w.log.Read(w.Context(), middle.Position, 3)
	if err != nil {
		w.Fatal(err)
	}
	w.same("from a position", all[1235:1238], events)
	last := all[len(all)-1]
	if events, err := w.log.Read(w.Context(), last.Position, 10); err != nil || len(events) > 0 {
		w.Errorf("after the end: got %d events, %v", len(events), err)
	}
}

// logFollows: a reader that follows many writers misses nothing.
func logFollows(w *world) {
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	var written atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.together(func(ctx context.Context, writer int) error {
			for n := range 10 {
				id := fmt.Sprint("of writer ", writer)
				if n%2 == 0 {
					id = fmt.Sprint("shared ", writer%4)
				}
				events := data(1 + n%3)
				if _, err := w.store.Append(ctx, stream(id), es.Any, events...); err != nil {
					return err
				}
				written.Add(int64(len(events)))
			}
			return nil
		})
	}()
	seen := int64(0)
	var cursor es.Position
	last := map[es.StreamID]es.Version{}
	for finished := false; ; {
		select {
		case <-done:
			finished = true
		default:
		}
		events, err := w.log.Read(ctx, cursor, 50)
		if err != nil {
			w.Error(err)
			break
		}
		for _, e := range events {
			if e.Position <= cursor || e.Version != last[e.Stream]+1 {
				w.Errorf("after position %d came %s version %d at %d, after version %d", cursor, e.Stream, e.Version, e.Position, last[e.Stream])
			}
			cursor, last[e.Stream] = e.Position, e.Version
			seen++
		}
		if finished && len(events) == 0 {
			break
		}
	}
	<-done
	if seen != written.Load() {
		w.Errorf("the log has delivered %d of %d events", seen, written.Load())
	}
}

// logEqualsStreams: the log holds what the streams hold, to the last field.
func logEqualsStreams(w *world) {
	for n := range 8 {
		events := data(2)
		events[0].ContentType = "application/octet-stream"
		events[1].Metadata = es.Metadata{CorrelationID: strconv.Itoa(n), Extra: map[string]string{"n": "1"}}
		w.append(strconv.Itoa(n%3), es.Any, events...)
	}
	byStream := map[es.StreamID][]es.RecordedEvent{}
	for _, e := range w.logAll(5) {
		byStream[e.Stream] = append(byStream[e.Stream], e)
	}
	for s, events := range byStream {
		w.same(s.String(), w.read(s.ID, 1), events)
	}
	if len(byStream) != 3 {
		w.Errorf("the log has %d streams, want 3", len(byStream))
	}
}

func logRefuses(w *world) {
	w.append("1", es.NoStream, data(1)...)
	for _, limit := range []int{0, -1} {
		if _, err := w.log.Read(w.Context(), 0, limit); !errors.Is(err, es.ErrInvalid) {
			w.Errorf("a read of %d events: got %v, want ErrInvalid", limit, err)
		}
	}
	if head, err := w.log.Settle(w.Context(), time.Time{}); err != nil || head == 0 {
		w.Errorf("the log settles at %d, %v", head, err)
	}
}
