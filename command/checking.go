package command

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

const (
	// mostNamed is how many failures, and how many differences, are named; all are counted.
	mostNamed = 100
	// checkPage is how many events are read at once.
	checkPage = 1000
)

// check is a run of `check-events`.
type check struct {
	session *Session
	shown   *Printer
	folders map[string]folder // by category
	seed    maphash.Seed
	most    int64 // streams that are folded at once, about
	head    es.Position
	told    time.Time

	events, streams int64
	others          map[string]int64 // events by category, of those without a decider
	failures        int64
	failed          []failedView
	broken          map[es.StreamID]bool // streams with an event that fails: they are not folded on

	before      map[es.StreamID]stateDigest // what is compared with; nil: nothing
	compared    int64
	differences int64
	differ      []differView

	states []stateDigest // when they are asked for
}

func newCheck(s *Session, most int64, shown *Printer) *check {
	c := &check{session: s, most: most, shown: shown, folders: map[string]folder{}, seed: maphash.MakeSeed(), others: map[string]int64{}, broken: map[es.StreamID]bool{}, told: time.Now()}
	for _, a := range s.service.Aggregates {
		c.folders[a.category] = a.folder()
	}
	return c
}

// run decodes the log, and folds it.
func (c *check) run(ctx context.Context, keep bool) (err error) {
	ctx = es.WithContracts(ctx, c.session.Store)
	if c.head, err = c.session.Store.Settle(ctx, time.Time{}); err != nil {
		return err
	}
	if err := c.read(ctx, "decoding", func(e *es.RecordedEvent) error { return c.decode(ctx, e) }); err != nil {
		return err
	}
	parts := max((c.streams+c.most-1)/c.most, 1)
	for part := range parts {
		err := c.read(ctx, fmt.Sprintf("folding %d of %d", part+1, parts), func(e *es.RecordedEvent) error {
			if int64(maphash.String(c.seed, e.Stream.ID)%uint64(parts)) == part { //nolint:gosec // there are few
				return c.fold(ctx, e)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := c.finish(keep); err != nil {
			return err
		}
	}
	return nil
}

// read gives each event of the log to f.
func (c *check) read(ctx context.Context, phase string, f func(e *es.RecordedEvent) error) error {
	return c.session.Store.Stream(ctx, es.Checkpoint{}, c.head, checkPage, func(page *pgstore.Page) error {
		for i := range page.Events {
			if err := f(&page.Events[i]); err != nil {
				return err
			}
		}
		if time.Since(c.told) >= checkEvery && len(page.Events) > 0 {
			c.told = time.Now()
			_ = c.shown.Line(checkLine{checkProgress{phase, page.Events[len(page.Events)-1].Position, c.head}}) // a check does not fail for a line that nobody reads
		}
		return nil
	})
}

func (c *check) decode(ctx context.Context, e *es.RecordedEvent) error {
	c.events++
	f, known := c.folders[e.Stream.Category]
	if !known {
		c.others[e.Stream.Category]++
		return nil
	}
	if e.Version == 1 {
		c.streams++
	}
	if err := f.decode(ctx, e); err != nil {
		c.fail(e, err)
	}
	return nil
}

func (c *check) fold(ctx context.Context, e *es.RecordedEvent) error {
	f, known := c.folders[e.Stream.Category]
	if !known || c.broken[e.Stream] {
		return nil
	}
	if err := f.evolve(ctx, e); err != nil {
		c.fail(e, err)
		return nil
	}
	if was, asked := c.before[e.Stream]; asked && was.Version == e.Version {
		c.compare(f, was)
	}
	return nil
}

func (c *check) fail(e *es.RecordedEvent, why error) {
	c.failures++
	c.broken[e.Stream] = true
	if len(c.failed) < mostNamed {
		c.failed = append(c.failed, failedView{e.Stream.Category, e.Stream.ID, e.Version, e.Position, e.Type, e.Schema, why.Error()})
	}
}

// compare holds a state against what it was.
func (c *check) compare(f folder, was stateDigest) {
	c.compared++
	delete(c.before, es.StreamID{Category: was.Category, ID: was.ID})
	switch is, err := f.digest(was.ID); {
	case err != nil:
		c.differs(was, err.Error())
	case is.State != was.State:
		c.differs(was, "the state is another")
	}
}

func (c *check) differs(was stateDigest, why string) {
	c.differences++
	if len(c.differ) < mostNamed {
		c.differ = append(c.differ, differView{was.Category, was.ID, was.Version, why})
	}
}

// finish ends a part.
func (c *check) finish(keep bool) error {
	for _, f := range c.folders {
		if keep {
			for _, id := range f.ids() {
				d, err := f.digest(id)
				if err != nil {
					return err
				}
				c.states = append(c.states, d)
			}
		}
		f.forget()
	}
	return nil
}
