package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

// readTopic reads a topic from its beginning to where it ends now, and returns each
// partition's events in its order.
func readTopic(ctx context.Context, client *kafka.Client, topic string) (map[int][]es.RecordedEvent, error) {
	heads, err := client.Heads(ctx, topic)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var (
		mu   sync.Mutex
		read = map[int][]es.RecordedEvent{}
		left = 0
	)
	for _, head := range heads {
		if head > 0 {
			left++
		}
	}
	if left == 0 {
		return read, nil
	}
	group := kafka.Group{Name: fmt.Sprintf("demo-%s-%s", topic, es.NewID()), Topics: []string{topic}}
	err = client.Consume(ctx, group, func(ctx context.Context, part *kafka.Partition) error {
		var events []es.RecordedEvent
		for next := int64(0); next < heads[part.Number()]; {
			messages, err := part.Fetch(ctx, 1000)
			if err != nil {
				return err
			}
			for _, m := range messages {
				event, err := kafka.ToEvent(m)
				if err != nil {
					return err
				}
				events, next = append(events, event), m.Offset+1
			}
		}
		mu.Lock()
		if len(events) > 0 {
			if read[part.Number()] = events; len(read) == left {
				cancel()
			}
		}
		mu.Unlock()
		<-ctx.Done() // a partition whose handler returns is handed out again
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	if len(read) == left {
		return read, nil
	}
	return nil, errors.Join(err, fmt.Errorf("%d of %d partitions were read to their ends", len(read), left))
}

// published compares a topic with the log: every event is there, and the first
// occurrences of a key's events are in order. It returns how many messages are
// repeats, which consumers drop.
func published(ctx context.Context, client *kafka.Client, topic string, log []es.RecordedEvent) (messages, repeats int, err error) {
	partitions, err := readTopic(ctx, client, topic)
	if err != nil {
		return 0, 0, err
	}
	last := map[es.StreamID]es.Version{}
	for number, events := range partitions {
		for _, e := range events {
			messages++
			switch v := last[e.Stream]; {
			case e.Version <= v:
				repeats++
			case e.Version == v+1:
				last[e.Stream] = e.Version
			default:
				return messages, repeats, fmt.Errorf("partition %d: %s version %d comes after %d", number, e.Stream, e.Version, v)
			}
		}
	}
	for _, e := range log {
		if e.Stream.Category == topic && last[e.Stream] < e.Version {
			return messages, repeats, fmt.Errorf("%s version %d was not published", e.Stream, e.Version)
		}
	}
	return messages, repeats, nil
}
