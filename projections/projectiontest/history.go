package projectiontest

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// read reads the whole log.
func read(ctx context.Context, store *pgstore.Store) ([]es.RecordedEvent, error) {
	head, err := store.Settle(ctx, time.Time{})
	if err != nil {
		return nil, err
	}
	var list []es.RecordedEvent
	for after := es.Position(0); after < head; {
		page, err := store.Read(ctx, after, 1000)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 { // positions that were rolled back
			break
		}
		list = append(list, page...)
		after = page[len(page)-1].Position
	}
	return list, nil
}

// byStream gives the events of one stream after the other, the last stream first.
func byStream(events []es.RecordedEvent) []es.RecordedEvent {
	queues, streams := queue(events)
	var list []es.RecordedEvent
	for _, stream := range slices.Backward(streams) {
		list = append(list, queues[stream]...)
	}
	return list
}

// shuffled keeps the order within each stream.
func shuffled(random *rand.Rand, events []es.RecordedEvent) []es.RecordedEvent {
	queues, _ := queue(events)
	turns := make([]es.StreamID, len(events))
	for i := range events {
		turns[i] = events[i].Stream
	}
	random.Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
	list := make([]es.RecordedEvent, 0, len(events))
	for _, stream := range turns {
		list = append(list, queues[stream][0])
		queues[stream] = queues[stream][1:]
	}
	return list
}

// queue returns the events of each stream, and the streams as they begin.
func queue(events []es.RecordedEvent) (queues map[es.StreamID][]es.RecordedEvent, streams []es.StreamID) {
	queues = map[es.StreamID][]es.RecordedEvent{}
	for _, e := range events {
		if len(queues[e.Stream]) == 0 {
			streams = append(streams, e.Stream)
		}
		queues[e.Stream] = append(queues[e.Stream], e)
	}
	return queues, streams
}

// repeating gives some events again, once they have come.
func repeating(random *rand.Rand, events []es.RecordedEvent) []es.RecordedEvent {
	var list []es.RecordedEvent
	for _, e := range events {
		list = append(list, e)
		if random.IntN(3) == 0 {
			list = append(list, list[random.IntN(len(list))])
		}
	}
	return list
}

// cut leaves those that are in the log as far as some events go.
func cut(list, events []es.RecordedEvent) []es.RecordedEvent {
	last := events[len(events)-1].Position
	return slices.DeleteFunc(list, func(e es.RecordedEvent) bool { return e.Position > last })
}
