package reactions

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/wait"
)

const (
	// MostPause is the longest pause between two tries.
	MostPause = 5 * time.Second
	// grace is how long a try may take that was begun, when the partition goes to another
	// process or the reaction is asked to stop. Should another member get the message
	// meanwhile, the inbox tells.
	grace = 5 * time.Second
	// batch is how many messages are taken over at once.
	batch = 500
)

// partition takes the messages of a partition, one after the other.
func (r *Reactor) partition(ctx context.Context, part *kafka.Partition) error {
	id, _ := part.TopicID()
	r.goesOn(ctx, part.Topic(), part.Number()) // whatever another process has waited for
	for {
		messages, err := part.Fetch(ctx, batch)
		if err != nil {
			return err
		}
		for _, m := range messages {
			if err := r.handle(ctx, r.delivery(m, id)); err != nil {
				return err
			}
			part.Commit(m.Offset + 1)
		}
	}
}

// Deliver handles one message as Run does those of Kafka, until it is taken: reacted to,
// parked, or skipped. It returns what would end Run, or the cause of ctx's end. It is for
// tests, and for who has a consumer of his own, which calls it for one message of a
// sequence at a time. The message says what topic it is of, with the prefix, and where.
func (r *Reactor) Deliver(ctx context.Context, m kafka.Message) error {
	if r.refused != nil {
		return r.refused
	}
	if err := r.handle(ctx, r.delivery(m, uuid.Nil)); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return r.explain("take a message", err)
	}
	return nil
}

// handling is a message that is taken.
type handling struct {
	r     *Reactor
	d     *delivery
	tries int   // that failed
	why   error // why it is to be parked
	told  string
}

// handle takes a message, however long that takes.
func (r *Reactor) handle(ctx context.Context, d *delivery) error {
	h := &handling{r: r, d: d}
	defer h.over()
	pause := wait.Backoff{First: r.pause, Last: MostPause}
	for ctx.Err() == nil {
		done, err := h.step(ctx)
		if err == nil {
			h.taken(ctx, done)
			return nil
		}
		if ctx.Err() != nil {
			break // it comes again, to whoever has the partition then
		}
		again, err := h.failed(ctx, err)
		if err != nil {
			r.waitsAt(ctx, d, err, true)
			return err
		}
		if again {
			_ = pause.Wait(ctx)
		}
	}
	return context.Cause(ctx)
}

// step tries the message, or parks it. What was begun may be finished.
func (h *handling) step(ctx context.Context) (result, error) {
	ctx, cancel := wait.Beyond(ctx, grace)
	defer cancel()
	if h.why != nil {
		return h.r.park(ctx, h.d, h.why, h.tries)
	}
	return h.r.take(ctx, h.d)
}

// failed decides what follows from a failure: whether to pause before the next step, or
// the error that ends the reaction.
func (h *handling) failed(ctx context.Context, err error) (pause bool, end error) {
	what := judge(err)
	if h.why != nil && what != ends { // that it cannot be parked
		what = passes
	}
	switch what {
	case ends:
		return false, err
	case passes:
		h.waits(ctx, err)
		return true, nil
	case fails:
		h.tries++
		h.r.log.WarnContext(ctx, "the reaction to a message failed", append(h.d.where(), "try", h.tries, "error", err)...)
		if h.tries < h.r.tries {
			return true, nil
		}
	default:
		h.tries++
	}
	h.why = err
	return false, nil
}

// waits says what a message waits for, when it is not what was said last.
func (h *handling) waits(ctx context.Context, err error) {
	if text := err.Error(); h.told != text {
		if h.told == "" {
			h.r.waiting.Add(1)
		}
		h.told = text
		h.r.log.WarnContext(ctx, "the reaction waits, and tries again", append(h.d.where(), "error", err)...)
		h.r.waitsAt(ctx, h.d, err, false)
	}
}

// taken counts the message, and says that its partition goes on.
func (h *handling) taken(ctx context.Context, done result) {
	h.r.count(ctx, h.d, done)
	if done == parked {
		h.r.log.ErrorContext(ctx, "a message is parked: see dead-letters", append(h.d.where(), "attempts", h.tries, "error", h.why)...)
	}
	if h.told != "" {
		h.r.goesOn(ctx, h.d.Topic, h.d.Partition)
		h.r.log.InfoContext(ctx, "the reaction goes on", h.d.where()...)
	}
}

// over ends the waiting, for better or worse.
func (h *handling) over() {
	if h.told != "" {
		h.r.waiting.Add(-1)
	}
}
