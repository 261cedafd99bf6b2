package rebuild

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
	"github.com/asof-dev/asof/projections/internal/source"
)

// Rebuild is one call.
type Rebuild struct {
	feed     *source.Feed
	applier  *apply.Applier // of the feed
	topics   *source.Kafka  // where there is no log; else nil
	program  Program
	b        books.Build
	Back     bool              // to an older version
	First    bool              // only if no build of the version is live
	To       *es.Position      // as far as it goes; nil: to the end of the log
	Patience time.Duration     // of one try to switch
	recorded recorded          // in the log
	Chunk    int               // events of one transaction at most; zero: as many as there are
	damaged  bool              // the live tables are
	blind    bool              // do not compare: it took too long, or was refused, and the live build waits meanwhile
	parked   []fold.ParkedUnit // in the switch
	started  time.Time
	begun    int64 // events that an earlier call has done
	progress Progress
	Report   func(Progress)
}

// nearly is how many positions behind the head the shadow may be when the live build
// is locked for the switch.
const nearly = 1_000

// short is how many events may be applied in the switch: the live build waits while Apply runs
// for them.
func (r *Rebuild) short() int { return r.applier.MostInTurn(nearly) }

// New prepares one that builds beside the live build of a feed.
func New(feed *source.Feed, topics *source.Kafka, program Program) *Rebuild {
	return &Rebuild{feed: feed, applier: feed.Applier, topics: topics, program: program, Patience: switchTimeout, started: time.Now(), Report: func(Progress) {}}
}

// Replace builds and makes live.
func (r *Rebuild) Replace(ctx context.Context) error {
	if err := r.claim(ctx); err != nil {
		return err
	}
	defer r.release(ctx)
	if err := r.run(ctx); err != nil {
		return err
	}
	r.dropRetired(ctx, r.b.Name)
	return nil
}

// run does the work while the lease is kept. When the lease is lost the work ends; but
// work that is done stays done, as after the switch there is no lease to keep.
func (r *Rebuild) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	id, epoch := r.b.ID, r.b.Epoch
	var lease sync.WaitGroup
	lease.Go(func() { cancel(r.keepLease(ctx, id, epoch)) })
	err := r.work(ctx)
	cause := context.Cause(ctx)
	cancel(nil)
	lease.Wait()
	if err != nil && errors.Is(cause, fault.ErrFenced) {
		return cause
	}
	return err
}

func (r *Rebuild) work(ctx context.Context) error {
	if r.applier.Log == nil {
		return r.workTopics(ctx)
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if err := r.verify(ctx); err != nil {
		return err
	}
	return r.switchOver(ctx)
}

// prepare brings the shadow close to the end of the log.
func (r *Rebuild) prepare(ctx context.Context) error {
	b, err := r.applier.InLife(ctx, r.b)
	if err != nil {
		return err
	}
	r.b = b
	if err := r.verifyLog(ctx); err != nil {
		return err
	}
	head, err := r.end(ctx)
	if err != nil {
		return err
	}
	if err := r.measure(ctx, head); err != nil {
		return err
	}
	for {
		if err := r.fill(ctx, head); err != nil {
			return err
		}
		if r.To != nil {
			return nil
		}
		if head, err = r.end(ctx); err != nil {
			return err
		}
		if head-r.b.Position <= nearly {
			return nil
		}
	}
}

// end is the position up to which the log is read: its settled end, unless another was
// asked for.
func (r *Rebuild) end(ctx context.Context) (es.Position, error) {
	if r.To != nil {
		return *r.To, nil
	}
	return r.applier.Log.Settle(ctx, time.Time{})
}

// verifyLog refuses a log that has lost what the live build has applied: what is built
// from it now would not be noticed as such any more.
func (r *Rebuild) verifyLog(ctx context.Context) error {
	old, err := r.applier.Live(ctx)
	if errors.Is(err, fault.ErrNotBuilt) || err == nil && !r.ofOneLog(old, r.b) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.applier.Log.Verify(ctx, r.applier.Checkpoint(old)); err != nil {
		return err
	}
	return r.applier.VerifyReach(ctx, old)
}

// totalSQL notes how many events there are to be read, for the progress. Bind: $1 build,
// $2 how many are left.
const totalSQL = `
update {asof}.builds b set total = l.events + $2
from {asof}.lanes l where b.id = $1 and l.build = b.id and l.lane = 0 returning l.events, b.total`

// measure takes the positions for the events: counting those would take a sixth of the time
// of the whole.
func (r *Rebuild) measure(ctx context.Context, head es.Position) error {
	left := max(int64(head-r.b.Position), 0)
	err := r.applier.Books.Pool().QueryRow(ctx, r.applier.Books.SQL(totalSQL), r.b.ID, left).Scan(&r.progress.Done, &r.progress.Total)
	if err != nil {
		return fault.Explain("measure the log", err)
	}
	r.begun = r.progress.Done
	r.tell("reading")
	return nil
}

func (r *Rebuild) tell(phase string) {
	r.progress.Name, r.progress.Version, r.progress.Phase = r.b.Name, r.b.Version, phase
	r.progress.Rate = float64(r.progress.Done-r.begun) / max(time.Since(r.started).Seconds(), 0.001)
	r.Report(r.progress)
}

// verify checks that what the shadow has applied is what stands in the log. The shadow
// stands still meanwhile.
func (r *Rebuild) verify(ctx context.Context) error {
	r.tell("verifying")
	applied, err := r.applier.Books.Sums(ctx, r.b)
	if err != nil {
		return err
	}
	if err := r.recorded.reach(ctx, r.applier, r.b.Position); err != nil {
		return err
	}
	if !maps.Equal(applied, r.recorded.sums) {
		return r.discard(ctx, applied, r.recorded.sums)
	}
	return nil
}

// discard drops the build, and returns why.
func (r *Rebuild) discard(ctx context.Context, applied, recorded map[string]pgstore.Sum) error {
	err := pgx.BeginFunc(ctx, r.applier.Books.Pool(), func(tx pgx.Tx) error { return r.applier.Books.Drop(ctx, tx, r.b) })
	why := fmt.Errorf("%w: %s at position %d: %s", fault.ErrVerify, r.b.Name, r.b.Position, differing(applied, recorded))
	switch {
	case errors.Is(err, fault.ErrFenced): // it is another's, and of another position
		return err
	case err != nil:
		return fmt.Errorf("%w; and its build %s was not dropped: %w", why, r.b.Schema, err)
	default:
		return fmt.Errorf("%w; the build was dropped: rebuild again", why)
	}
}

// differing says of which categories the sums differ.
func differing(applied, recorded map[string]pgstore.Sum) string {
	all := maps.Clone(applied)
	maps.Copy(all, recorded)
	var list []string
	for _, category := range slices.Sorted(maps.Keys(all)) {
		switch a, l := applied[category], recorded[category]; {
		case a.Events != l.Events:
			list = append(list, fmt.Sprintf("%d events of %s were applied and the log has %d", a.Events, category, l.Events))
		case a != l:
			list = append(list, fmt.Sprintf("other events of %s were applied than the log has", category))
		}
	}
	return strings.Join(list, ", ")
}
