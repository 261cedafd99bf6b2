package source

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/projections/internal/apply"
)

// deskBytes bounds what lies on a desk; a larger message lies there alone.
const deskBytes = 1 << 20

// desk is where the messages of a partition lie from when they are fetched until it is their
// turn: what comes meanwhile goes along.
type desk struct {
	f    *follower
	at   apply.Partition
	next int64       // offset after what is applied
	now  *apply.Work // what is to be applied, once it was somebody's turn

	came   chan struct{} // there is something on it, or to be read again
	again  atomic.Bool   // streams that wait in the partition are to be looked at
	looked time.Time     // when they were, last
	left   chan struct{} // there may be room on it

	mu       sync.Mutex
	messages []kafka.Message
	bytes    int
	hungry   bool // of an event a part has yet to come: there is always room
}

// Of an event whose parts do not come no more is waited for than until so much has come behind it.
const (
	mostBehind      = 100_000
	mostBehindBytes = 64 << 20
)

func newDesk(f *follower, at apply.Partition, next int64) *desk {
	return &desk{f: f, at: at, next: next, came: make(chan struct{}, 1), left: make(chan struct{}, 1)}
}

// put waits for room and lays messages on the desk.
func (d *desk) put(ctx context.Context, messages []kafka.Message) error {
	for !d.tryPut(messages) {
		select {
		case <-d.left:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	signal(d.came)
	return nil
}

func (d *desk) tryPut(messages []kafka.Message) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.hungry && (len(d.messages) >= d.f.feed.Batch || d.bytes >= deskBytes) {
		return false
	}
	d.messages = append(d.messages, messages...)
	d.bytes += bytesOf(messages)
	return true
}

// ready reports that the next work has something: a message, with all parts of its event.
func (d *desk) ready() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.messages) == 0 {
		return false
	}
	ready := d.f.feed.Applier.Log != nil || d.lost() || d.f.begins(d.messages)
	if d.hungry = !ready; d.hungry {
		signal(d.left)
	}
	return ready
}

// lost reports that the first message's event is waited for no longer.
func (d *desk) lost() bool { return len(d.messages) > mostBehind || d.bytes > mostBehindBytes }

// tooMany is lost for messages that lie on no desk.
func tooMany(messages []kafka.Message) bool {
	return len(messages) > mostBehind || bytesOf(messages) > mostBehindBytes
}

// await waits for messages, or for streams that are to be looked at.
func (d *desk) await(ctx context.Context) error {
	var late <-chan time.Time
	for told := false; !d.ready() && !d.again.Load(); {
		if late == nil && !told && d.waitsForParts() {
			late = time.After(tellLate)
		}
		select {
		case <-d.came:
		case <-late:
			told, late = true, nil
			if d.waitsForParts() {
				d.f.feed.Applier.Logger.WarnContext(ctx, "a partition waits for the other parts of an event: does the relay run that publishes it?", "topic", d.at.Topic, "partition", d.at.Number, "offset", d.next)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// tellLate is when it is told that parts are waited for.
const tellLate = 10 * time.Second

func (d *desk) waitsForParts() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hungry
}

// count is how many messages the next work takes.
func (d *desk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return min(len(d.messages), d.f.feed.Batch)
}

// origin is whose events come next, where no log says it, and of what kind of topic.
func (d *desk) origin() (o origin) {
	if d.f.feed.Applier.Log != nil {
		return origin{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	o.life, _ = kafka.Life(d.messages[0])
	o.source, o.sparse = kafka.Source(d.messages[0]), kafka.Sparse(d.messages[0])
	return o
}

type origin struct {
	source string
	life   uuid.UUID
	sparse bool
}

// work is what is to be applied now: the same until it is applied. It is called by whose
// turn it is.
func (d *desk) work() *apply.Work {
	if d.now != nil {
		return d.now
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(d.messages), d.f.feed.Batch)
	if d.f.feed.Applier.Log == nil {
		if d.now, n = d.f.runOf(d.at, d.next, d.messages[:n], false); n == 0 { // an event with many parts
			if d.lost() {
				d.f.feed.Applier.Logger.Error("an event of which parts do not come is left out", "topic", d.at.Topic, "partition", d.at.Number, "offset", d.messages[0].Offset)
			}
			d.now, n = d.f.runOf(d.at, d.next, d.messages, d.lost())
		}
	} else {
		d.now = d.f.workOf(d.at, d.next, d.messages[:n])
	}
	d.bytes -= bytesOf(d.messages[:n])
	d.messages = append([]kafka.Message(nil), d.messages[n:]...)
	signal(d.left)
	return d.now
}

// applied takes the work off the desk.
func (d *desk) applied() *apply.Work {
	w := d.now
	d.now, d.next = nil, w.Offset.Next
	return w
}

// lookAgain has the streams looked at that wait in the partition.
func (d *desk) lookAgain() {
	d.again.Store(true)
	signal(d.came)
}

func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default: // it was told already
	}
}

func bytesOf(messages []kafka.Message) (n int) {
	for i := range messages {
		n += len(messages[i].Value) + len(messages[i].Key)
		for _, h := range messages[i].Headers {
			n += len(h.Key) + len(h.Value)
		}
	}
	return n
}

// workOf is the work of messages of a store's own events.
func (s *Kafka) workOf(at apply.Partition, from int64, messages []kafka.Message) *apply.Work {
	w := &apply.Work{
		Events: make([]es.RecordedEvent, 0, len(messages)),
		Offset: &apply.Offset{Topic: at.Topic, Partition: at.Number, From: from, Next: messages[len(messages)-1].Offset + 1},
	}
	for _, m := range messages {
		e, ok := s.event(m)
		if !ok {
			w.Foreign++
			continue
		}
		w.Events = append(w.Events, e)
	}
	return w
}
