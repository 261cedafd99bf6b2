package projections_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// round is a history of a category of its own, and all kinds of projections of it.
type round struct {
	*place
	*plan
	ctx      context.Context
	category string
	models   []*model
	mended   *atomic.Bool
	history  []es.RecordedEvent
	unsent   []es.RecordedEvent
	skipped  map[*model]units // whole events, though some only for some of their rows
	paused   bool
	byLog    bool // those who begin follow the log
	crew     []*crewman
	begun    int
	looker   *crewman // the test's own
}

// newRound is a round that nobody works in yet.
func (p *place) newRound(ctx context.Context, n int64, plan *plan) (*round, error) {
	r := &round{place: p, plan: plan, ctx: ctx, mended: new(atomic.Bool), skipped: map[*model]units{}}
	r.category = fmt.Sprintf("account%d", n)
	if p.topic != nil { // of brokers that others have, too
		r.category += "-" + uuid.NewString()
	}
	for _, m := range models(fmt.Sprint(n), r.category, r.mended) {
		if !m.ordered || !p.alone {
			r.models, r.skipped[m] = append(r.models, m), units{}
		}
	}
	var err error
	r.looker, err = p.process(ctx, r.category+"-test", 0, nil)
	return r, err
}

// end ends all that runs.
func (r *round) end() error {
	err := r.looker.end()
	for _, m := range r.crew {
		err = errors.Join(err, m.end())
	}
	r.crew = nil
	return err
}

// looking is a projector of the test's own.
func (r *round) looking(m *model) *projections.Projector {
	return r.looker.projector(m, r.plan, r.byLog)
}

func (r *round) books() projections.Target { return projections.In(r.target.pool, "asof") }

// each does something with all projections at once.
func (r *round) each(do func(m *model) error) error {
	errs := make([]error, len(r.models))
	var all sync.WaitGroup
	for i, m := range r.models {
		all.Go(func() {
			if err := do(m); err != nil {
				errs[i] = fmt.Errorf("%s: %w", m.name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// play does all that is planned.
func (r *round) play() error {
	if err := r.append(r.before); err != nil {
		return err
	}
	if r.alone { // the topics have what a rebuild reads
		if err := r.sendAll(); err != nil {
			return err
		}
	}
	if err := r.begin(r.first, nil); err != nil {
		return err
	}
	if err := r.until("all is built", r.built); err != nil {
		return err
	}
	for i, d := range r.deeds {
		if err := r.do(d); err != nil {
			return fmt.Errorf("deed %d, %#v: %w", i, d, err)
		}
	}
	return r.finish()
}

// append adds to the history.
func (r *round) append(steps []step) error {
	for _, s := range steps {
		for i := range s.events {
			s.events[i].ID = es.NewID() // a shrunk history is appended again
		}
		recorded, err := r.log.store.Append(r.ctx, es.StreamID{Category: r.category, ID: name(s.account)}, es.Any, s.events...)
		if err != nil {
			return err
		}
		r.history = append(r.history, recorded...)
		if r.topic != nil {
			r.unsent = append(r.unsent, recorded...)
		}
	}
	return nil
}

// send publishes letters.
func (r *round) send(letters []letter) error {
	var list []es.RecordedEvent
	for _, l := range letters {
		switch {
		case r.topic == nil:
		case l.again:
			list = append(list, r.history[len(r.history)-1-l.number%len(r.history)])
		case len(r.unsent) > 0:
			i := l.number % len(r.unsent)
			list, r.unsent = append(list, r.unsent[i]), slices.Delete(r.unsent, i, i+1)
		}
	}
	return r.post(r.ctx, r.category, list...)
}

// sendAll publishes what was not yet.
func (r *round) sendAll() error {
	list := r.unsent
	if r.unsent = nil; !r.forward {
		slices.Reverse(list)
	}
	return r.post(r.ctx, r.category, list...)
}

// begin lets a process begin, in the place of the first.
func (r *round) begin(at int, line *brittle) error {
	if len(r.crew) > 0 {
		m := r.crew[0]
		r.crew = r.crew[1:]
		if err := m.end(); err != nil {
			return err
		}
	}
	return r.join(at, line)
}

// change lets a process begin in the place of all, which follows the log, or the topics.
func (r *round) change(byLog bool) error {
	for len(r.crew) > 0 {
		m := r.crew[0]
		r.crew = r.crew[1:]
		if err := m.end(); err != nil {
			return err
		}
	}
	r.byLog = byLog
	return r.join(0, nil)
}

// join lets one more process begin.
func (r *round) join(at int, line *brittle) error {
	r.begun++
	m, err := r.process(r.ctx, fmt.Sprintf("%s-%d", r.category, r.begun), at, line)
	if err != nil {
		return err
	}
	m.run(r.models, r.plan, r.byLog)
	r.crew = append(r.crew, m)
	return nil
}

// tend replaces a process that is dead, and tells of a Run that has ended.
func (r *round) tend() error {
	for i, m := range r.crew {
		if !m.dead() {
			if err := m.failure(); err != nil {
				return err
			}
			continue
		}
		if err := m.end(); err != nil {
			return err
		}
		r.crew = slices.Delete(r.crew, i, i+1)
		if err := r.unlease(); err != nil {
			return err
		}
		return r.join(0, nil)
	}
	return nil
}

// unlease does what 30 seconds do after a process has died that was building.
func (r *round) unlease() error {
	for _, m := range r.models {
		if _, err := r.target.pool.Exec(r.ctx, `update asof.builds set lease_until = null where name = $1`, m.name); err != nil {
			return err
		}
	}
	return nil
}

// until polls a condition of all projections, and keeps the processes alive.
func (r *round) until(what string, holds func(m *model) bool) error {
	ctx, cancel := context.WithTimeout(r.ctx, patient)
	defer cancel()
	left := slices.Clone(r.models)
	for {
		left = slices.DeleteFunc(left, holds)
		if err := r.tend(); err != nil || len(left) == 0 {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			status, err := r.looking(left[0]).Status(r.ctx)
			return fmt.Errorf("never happened with %d projections: %s: %s: %+v, gaps %+v, %w", len(left), what, left[0].name, status, status.Gaps, errors.Join(err, ctx.Err()))
		}
	}
}

func (r *round) built(m *model) bool {
	s, err := r.looking(m).Status(r.ctx)
	return err == nil && s.Build != 0
}

func (r *round) caughtUp(m *model) bool {
	s, err := r.looking(m).Status(r.ctx)
	return err == nil && s.Build != 0 && s.Lag == 0 && s.Gaps == nil
}

// settle waits until all is applied, and looks at it.
func (r *round) settle() error {
	if r.paused {
		return nil
	}
	if r.alone {
		if err := r.sendAll(); err != nil {
			return err
		}
	}
	if err := r.until("all is applied", r.caughtUp); err != nil {
		return err
	}
	return r.each(r.whole)
}

// finish looks whether all comes to what it must.
func (r *round) finish() error {
	if r.topic != nil && (r.alone || !r.loses) {
		if err := r.sendAll(); err != nil {
			return err
		}
	}
	if err := errors.Join(r.tend(), r.resume()); err != nil {
		return err
	}
	if err := r.settle(); err != nil {
		return err
	}
	r.mended.Store(true)
	return r.each(func(m *model) error {
		if err := r.retry(m); err != nil {
			return err
		}
		if err := r.clean(m); err != nil {
			return fmt.Errorf("at the end: %w", err)
		}
		return errors.Join(r.verified(m), r.rebuilt(m), r.asOf(m))
	})
}
