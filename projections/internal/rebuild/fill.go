package rebuild

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// A rebuild folds the log in memory, and writes the rows when it has come to its end; or
// before, where memory is full, or much would be lost if the process died now.

const (
	// saveEvery is how much work may be lost. A write that takes long is made less often:
	// a rebuild spends no more than a tenth of its time on it.
	saveEvery = 30 * time.Second
	saveShare = 10

	// saveGrace is how long a rebuild that was told to end may write what it has folded.
	saveGrace = 10 * time.Second

	// sumEvents is how many events of the log are summed up at once, about: so many that the
	// database has them in memory when it has just read them.
	sumEvents = 50_000

	// carefulEvents is how many events are applied at once to find one that is refused.
	carefulEvents = 50_000
)

// fill applies the log up to a settled position.
func (r *Rebuild) fill(ctx context.Context, upTo es.Position) error {
	if r.b.Position >= upTo {
		return nil
	}
	if r.b.Kind == books.KindKafka { // what it has applied stands in its dedup rows
		return r.fillCarefully(ctx, upTo)
	}
	m, err := r.applier.Remember(ctx, r.b)
	if err != nil {
		return err
	}
	if err := r.applier.Look(ctx, m); err != nil { // nobody else writes to it while the lease is held; save looks
		return err
	}
	s := &saver{Rebuild: r, m: m, last: time.Now()}
	limit := apply.PageEvents
	if r.Chunk > 0 {
		limit = min(limit, r.Chunk)
	}
	s.pass = func(ctx context.Context, upTo es.Position, use func(context.Context, *fold.Page) error) error {
		return fold.Pipeline(ctx,
			func(ctx context.Context, give func(*pgstore.Page) error) error {
				return r.applier.Log.Stream(ctx, r.applier.Checkpoint(r.b), upTo, limit, give)
			},
			func(ctx context.Context, page *pgstore.Page) *fold.Page {
				return r.applier.Def.Page(ctx, m.Model, page.Events)
			},
			use)
	}
	err = s.foldAll(ctx, upTo)
	switch {
	case err == nil:
		err = s.finish(ctx)
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), fault.ErrFenced) && !m.State.Parts():
		lasts, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveGrace)
		defer cancel()
		err = errors.Join(err, s.save(lasts))
	}
	if r.applier.Refused(err) {
		r.progress.Done -= int64(s.since)
		return r.fillCarefully(ctx, upTo)
	}
	return err
}

// saver folds pages, and writes now and then.
type saver struct {
	*Rebuild
	m     *apply.Memory
	last  time.Time     // of writing
	cost  time.Duration // of writing then
	since int           // events that are not written
	// pass reads the log from where the build is, and uses its pages.
	pass func(ctx context.Context, upTo es.Position, use func(context.Context, *fold.Page) error) error
}

// foldAll folds the log, and sums up behind that what is folded: the database still has in
// memory what it has just read.
func (s *saver) foldAll(ctx context.Context, upTo es.Position) error {
	group, ctx := errgroup.WithContext(ctx)
	folded := make(chan es.Position, 1)
	group.Go(func() error {
		for position := range folded {
			if err := s.recorded.reach(ctx, s.applier, position); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go(func() error {
		defer close(folded)
		n := 0
		return s.pass(ctx, upTo, func(ctx context.Context, pg *fold.Page) error {
			if n += len(pg.Events); n >= sumEvents {
				select {
				case folded <- pg.Last().Position:
					n = 0
				default: // it is summed up later
				}
			}
			return s.use(ctx, pg)
		})
	})
	return group.Wait()
}

func (s *saver) use(ctx context.Context, pg *fold.Page) error {
	if err := s.applier.Fold(ctx, s.m, pg); err != nil {
		s.m.Forget()
		s.since = 0
		return err
	}
	s.since += len(pg.Events)
	s.progress.Done += int64(len(pg.Events))
	s.tell("reading")
	full := s.m.State.Full(s.applier.Room)
	if full && s.m.State.Split() || s.m.State.Parts() {
		return nil
	}
	long := time.Since(s.last) >= max(saveEvery, saveShare*s.cost)
	if full || long || s.Chunk > 0 && s.since >= s.Chunk {
		return s.save(ctx)
	}
	return nil
}

// finish writes the rest, and meanwhile sums up the rest of the log, which is compared after.
func (s *saver) finish(ctx context.Context) error {
	position := s.m.Tally.Position
	if position == 0 { // nothing came
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if s.m.State.Parts() {
			return s.saveParts(ctx)
		}
		return s.save(ctx)
	})
	group.Go(func() error { return s.recorded.reach(ctx, s.applier, position) })
	return group.Wait()
}

// save writes what is folded.
func (s *saver) save(ctx context.Context) error {
	if s.since == 0 {
		return nil
	}
	began := time.Now()
	if err := s.applier.Save(ctx, s.m, s.applier.Room/2); err != nil {
		return fault.Wrap("apply a batch", err)
	}
	s.b = s.m.B
	s.since, s.last, s.cost = 0, time.Now(), time.Since(began)
	return nil
}

// saveParts writes rows that memory has no room for at once, part after part, each from a
// pass over the log, in one transaction. The books are locked at its end alone.
func (s *saver) saveParts(ctx context.Context) error {
	m, upTo := s.m, s.m.Tally.Position
	was, b := m.B, m.B
	err := s.applier.Transaction(ctx, func(conn *pgx.Conn, batch *pgx.Batch) error {
		batch.Queue(apply.LongSQL)
		if err := apply.SendOn(ctx, conn, batch); err != nil {
			return err
		}
		err := m.State.CopyParts(ctx, conn, func() error { return s.pass(ctx, upTo, s.useAgain) })
		if err != nil {
			return err
		}
		s.applier.QueueLock(batch, was, false, func(now books.Build) error { return apply.SameLane(now, was) })
		s.applier.QueueThere(batch, &m.Tally)
		m.Tally.Parked = int64(len(m.Parking.Fresh))
		s.applier.Books.QueueParked(batch, b, "", m.Parking.Fresh)
		s.applier.Books.QueueTally(batch, &b, &m.Tally, nil)
		return nil
	})
	if err != nil {
		return fault.Wrap("apply a batch", err)
	}
	s.applier.Done.Add(1)
	s.applier.Written(ctx, m, b)
	m.State.Forget()
	s.b, s.since = b, 0
	return nil
}

// useAgain folds a page into the part whose turn it is.
func (s *saver) useAgain(ctx context.Context, pg *fold.Page) error {
	if err := s.m.State.Fold(ctx, s.applier.Send, pg.Decoded, s.m.Parking); err != nil {
		return err
	}
	if s.m.State.Full(s.applier.Room) {
		s.m.State.Split()
	}
	return nil
}

// fillCarefully does as fill does, with rows that are looked up for each chunk: after the
// database has refused a value, and where the position is not all that tells what is applied.
func (r *Rebuild) fillCarefully(ctx context.Context, upTo es.Position) error {
	var chunk []es.RecordedEvent
	flush := func() error {
		if len(chunk) == 0 {
			return nil
		}
		b, err := r.applier.Careful(ctx, r.b, chunk, true)
		if err != nil {
			return err
		}
		r.b = b
		r.progress.Done += int64(len(chunk))
		r.tell("reading")
		chunk = chunk[:0]
		return nil
	}
	err := r.applier.ReadLog(ctx, r.applier.Checkpoint(r.b), upTo, apply.PageEvents, func(events []es.RecordedEvent) error {
		chunk = append(chunk, events...)
		if len(chunk) < carefulEvents {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return err
}
