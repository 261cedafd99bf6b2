package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/ahead"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/internal/wait"
)

const (
	// grace is how long a stop waits for what is being published.
	grace = 3 * time.Second
	// checkpointEvery spares the database commits; a crash repeats a little more.
	checkpointEvery = 20 * time.Millisecond
	// momentsEvery is how often the present is made final, for readers who may not.
	momentsEvery = time.Second
)

// storeSQL is which life the store lives and where its log ends, as it is now. Bind:
// nothing.
const storeSQL = `
select life, (select coalesce(max(position), 0) from {asof}.events) from {asof}.store_identity`

// term is the time from taking the lease to losing it or giving it up.
type term struct {
	relay *Relay
	lease *lease
	start es.Checkpoint                 // all before it was published before the term
	read  atomic.Pointer[es.Checkpoint] // all before it was read
	moved bool                          // the checkpoint has moved in this term
}

func newTerm(r *Relay, l *lease, start es.Checkpoint) *term {
	t := &term{relay: r, lease: l, start: start}
	t.read.Store(&start)
	return t
}

// check refuses a database that is not the one which the checkpoint is of. What the
// log does not have any more at the checkpoint's place, the store refuses with every
// page.
func (t *term) check(ctx context.Context) error {
	var life uuid.UUID
	var head es.Position
	err := t.relay.store.Pool().QueryRow(ctx, t.relay.sql(storeSQL)).Scan((*[16]byte)(&life), (*int64)(&head))
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return explain("look at the store", err)
	}
	switch {
	case err != nil:
		return lostRow("store_identity")
	case t.start.Life == uuid.Nil:
		if err := t.lease.adopt(ctx, life); err != nil {
			return err
		}
		t.start.Life = life
		t.read.Store(&t.start)
	case t.start.Life != life:
		return fmt.Errorf("%w: the checkpoint is of life %s and the store lives %s: %s", ErrRestored, t.start.Life, life, howToRepair())
	}
	if head < t.start.Position {
		return fmt.Errorf("%w: the log ends at position %d and the checkpoint is at %d: %s", ErrRestored, head, t.start.Position, howToRepair())
	}
	if err := t.verify(ctx); err != nil {
		return err
	}
	if err := t.checkKafka(ctx); err != nil {
		return err
	}
	return t.beginMappings(ctx)
}

// verify asks the store whether its log is still the one that was read.
func (t *term) verify(ctx context.Context) error {
	if err := t.relay.store.Verify(ctx, *t.read.Load()); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return nil
}

// lostRow is the error of a table whose only row is gone, as after a restore of some
// of the tables.
func lostRow(table string) error {
	return fmt.Errorf("%w: the table %s has lost its row: %s", ErrRestored, table, howToRepair())
}

func howToRepair() string {
	return "see what was lost and what Kafka has beyond it, then say from which position to go on, by the command `" + pg.Program() + " repair` or outbox.Repair"
}

// publishLog is the pipeline of a term: pages are read and made into messages
// while those before are published; a page that Kafka does not acknowledge holds up the next
// for a moment only, and what was read meanwhile is published as one; the checkpoint follows
// on its own. When ctx
// ends reading stops at once, and the rest has a grace.
func (t *term) publishLog(ctx context.Context, producer *kafka.Producer) error {
	late, cancel := wait.Beyond(ctx, grace)
	defer cancel()
	g, work := errgroup.WithContext(late)
	reading, stopReading := context.WithCancel(work)
	defer stopReading()
	defer context.AfterFunc(ctx, stopReading)()
	keeping, stopKeeping := context.WithCancel(work)
	defer stopKeeping()

	reader, publisher := newReader(t), newPublisher(t, producer)
	failure := func() *string {
		if text := publisher.failure(); text != nil {
			return text
		}
		return reader.failure()
	}
	read, pages, marks := make(chan page), make(chan page), make(chan mark, 1)
	fits := func(p, next page) bool {
		return len(p.messages)+len(next.messages) <= t.relay.batch && p.bytes+next.bytes <= pageBytes
	}
	g.Go(func() error { defer close(read); return reader.readPages(reading, read) })
	g.Go(func() error { defer close(pages); ahead.Pass(work, read, pages, fits, page.with); return nil })
	g.Go(func() error { defer close(marks); return publisher.publishPages(work, pages, marks) })
	g.Go(func() error { defer stopKeeping(); return t.follow(work, reading, marks) })
	g.Go(func() error { return t.lease.keep(keeping, failure, t.verify) })
	g.Go(func() error { t.keepMoments(keeping); return nil })
	return g.Wait()
}

// follow moves the checkpoint behind what is published. A clean stop, which ends
// reading, does not wait for the pause.
func (t *term) follow(ctx, reading context.Context, marks <-chan mark) error {
	for m := range marks {
		if err := t.lease.move(ctx, m); err != nil {
			return t.whyNotMoved(ctx, m, err)
		}
		t.moved = true
		_ = wait.For(reading, checkpointEvery)
	}
	return nil
}

// whyNotMoved tells a log that has lost the event from a lease that was lost.
func (t *term) whyNotMoved(ctx context.Context, to mark, err error) error {
	if !errors.Is(err, errFenced) {
		return err
	}
	at := es.Checkpoint{Life: t.start.Life, Position: to.position, EventID: to.id}
	if lost := t.relay.store.Verify(ctx, at); errors.Is(lost, ErrRestored) {
		return fmt.Errorf("outbox: %w", lost)
	}
	return err
}

// keepMoments makes moments final as long as the term lasts. It is no part of the
// lease, which must not wait for it.
func (t *term) keepMoments(ctx context.Context) {
	for failed := false; wait.For(ctx, momentsEvery) == nil; {
		err := t.relay.store.KeepMoments(ctx)
		if err != nil && !failed && ctx.Err() == nil {
			t.relay.logger.WarnContext(ctx, "the present was not made final", "error", err)
		}
		failed = err != nil
	}
}
