package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/internal/wait"
)

// watchEvery is how often a request under way looks whether its leader has changed.
const watchEvery = 200 * time.Millisecond

var errLeaderMoved = errors.New("kafka: the partition has another leader now")

// line is the queue of a partition. One request is under way at a time, and nothing
// is sent before what stands ahead of it is acknowledged or given up.
type line struct {
	producer  *Producer
	topic     string
	partition int

	mu      sync.Mutex
	queue   []waiting
	running bool

	seen failures // of the goroutine that runs
}

// waiting is a message in a line.
type waiting struct {
	call  *call
	index int
	at    time.Time
}

func (w waiting) message() *Message { return &w.call.messages[w.index] }

// bytes is at least what the message takes in a request.
func (w waiting) bytes() int {
	m := w.message()
	n := len(m.Key) + len(m.Value) + 40
	for _, h := range m.Headers {
		n += len(h.Key) + len(h.Value) + 10
	}
	return n
}

// push adds messages; the producer's lock is held, so that Close sees the goroutine.
func (l *line) push(c *call, indexes []int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, i := range indexes {
		at := c.messages[i].Time
		if at.IsZero() {
			at = now
		}
		l.queue = append(l.queue, waiting{call: c, index: i, at: at})
	}
	if !l.running {
		l.running = true
		l.producer.lines.Go(l.run)
	}
}

func (l *line) run() {
	for {
		batch := l.take()
		if len(batch) == 0 {
			return
		}
		l.deliver(batch)
	}
}

// take returns the next messages, or ends the line's goroutine.
func (l *line) take() []waiting {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, size := 0, 0
	for ; n < len(l.queue) && n < batchMessages; n++ {
		if size += l.queue[n].bytes(); size > batchBytes && n > 0 {
			break
		}
	}
	batch := l.queue[:n:n]
	if l.queue = l.queue[n:]; n == 0 {
		l.queue, l.running = nil, false
	}
	return batch
}

// deliver sends a batch until it is acknowledged. Messages whose caller has gone are
// left out of the next try.
func (l *line) deliver(batch []waiting) {
	c := l.producer.client
	rest := newBackoff()
	var last error
	for {
		if batch = live(batch); len(batch) == 0 {
			return
		}
		err := l.send(batch)
		switch {
		case err == nil:
			for _, w := range batch {
				w.call.ack(w.index)
			}
			return
		case l.producer.ctx.Err() != nil:
			fail(batch, fmt.Errorf("%w: the producer was closed before the acknowledgement: %w", ErrClosed, err))
			return
		case refused(err) && len(batch) > 1: // find out which message it is
			l.deliver(batch[:len(batch)/2])
			batch = batch[len(batch)/2:]
			continue
		case refused(err), denied(err):
			fail(batch, c.explain(l.producer.ctx, l.what(), err))
			return
		}
		if last == nil || last.Error() != err.Error() {
			l.seen.warn(c.log, err, "not acknowledged, sending again", "topic", l.topic, "partition", l.partition, "messages", len(batch))
			explained := c.explain(l.producer.ctx, l.what(), err)
			for _, w := range batch {
				w.call.note(explained)
			}
			last = err
		}
		l.rest(rest, batch)
		l.forget()
	}
}

// forget drops what was given up while it stood behind what is tried: callers may come
// and go for as long as the brokers are away.
func (l *line) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = live(l.queue)
}

func (l *line) what() string { return fmt.Sprintf("publish to %s partition %d", l.topic, l.partition) }

func live(batch []waiting) []waiting {
	var kept []waiting
	for _, w := range batch {
		if !w.call.ended() {
			kept = append(kept, w)
		}
	}
	return kept
}

func fail(batch []waiting, err error) {
	for _, w := range batch {
		w.call.fail(err)
	}
}

// refused reports that the broker does not take one of the messages, nor ever will.
func refused(err error) bool { return tooLarge(err) || invalid(err) }

// rest pauses between two tries, as long as somebody waits.
func (l *line) rest(rest *wait.Backoff, batch []waiting) {
	ctx, cancel := whileWaited(l.producer.ctx, batch)
	defer cancel()
	_ = rest.Wait(ctx)
}

// whileWaited is a context that ends when every caller of the batch has gone.
func whileWaited(ctx context.Context, batch []waiting) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	var stops []func() bool
	var mu sync.Mutex
	callers := make(map[*call]bool)
	for _, w := range batch {
		callers[w.call] = true
	}
	left := len(callers)
	for c := range callers {
		stops = append(stops, context.AfterFunc(c.ctx, func() {
			mu.Lock()
			defer mu.Unlock()
			if left--; left == 0 {
				cancel()
			}
		}))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}

// send makes one request. It ends early when the partition gets another leader: the
// old one may never answer.
func (l *line) send(batch []waiting) error {
	c := l.producer.client
	ctx, cancel := whileWaited(l.producer.ctx, batch)
	defer cancel()
	leader, err := c.leader(ctx, l.topic, l.partition)
	if err != nil {
		return err
	}
	ctx, moved := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { l.watch(ctx, moved, leader.ID) })
	response, err := c.api.Produce(ctx, &kafkago.ProduceRequest{
		Topic: l.topic, Partition: l.partition, RequiredAcks: kafkago.RequireAll, Records: records(batch),
	})
	if errors.Is(context.Cause(ctx), errLeaderMoved) && err != nil {
		err = errLeaderMoved
	}
	moved(nil)
	watch.Wait()
	if err != nil {
		return err
	}
	return response.Error
}

func (l *line) watch(ctx context.Context, moved context.CancelCauseFunc, leader int) {
	for wait.For(ctx, watchEvery) == nil {
		now, err := l.producer.client.leader(ctx, l.topic, l.partition)
		if err == nil && now.ID != leader {
			moved(errLeaderMoved)
		}
	}
}

func records(batch []waiting) kafkago.RecordReader {
	list := make([]kafkago.Record, len(batch))
	for i, w := range batch {
		m := w.message()
		list[i] = kafkago.Record{Time: w.at, Key: kafkago.NewBytes(m.Key), Value: kafkago.NewBytes(m.Value)}
		if len(m.Headers) > 0 {
			headers := make([]kafkago.Header, len(m.Headers))
			for j, h := range m.Headers {
				headers[j] = kafkago.Header(h)
			}
			list[i].Headers = headers
		}
	}
	return kafkago.NewRecordReader(list...)
}
