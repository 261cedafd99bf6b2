package projections_test

import (
	"errors"
	"fmt"

	"github.com/asof-dev/asof/projections"
)

// do does a deed.
func (r *round) do(d deed) error {
	err := errors.Join(r.tend(), r.append(d.appends))
	if err == nil {
		err = r.send(d.letters)
	}
	if err == nil && d.settles {
		err = r.settle()
	}
	if err != nil {
		return err
	}
	rebuild := projections.WithChunk(r.chunk)
	switch d.what {
	case doCut:
		r.crew[0].cut()
		return r.tend()
	case doDie:
		return r.begin(1+d.number, nil)
	case doBreak:
		return r.begin(0, breaks(d.number%15))
	case doStop:
		if r.byLog {
			return r.change(false)
		}
		return r.begin(0, breaks(d.number-20))
	case doTurn:
		return r.change(true)
	case doJoin:
		if len(r.crew) < 2 {
			return r.join(0, breaks(d.number-15))
		}
	case doLeave:
		last := len(r.crew) - 1
		if last > 0 {
			m := r.crew[last]
			r.crew = r.crew[:last]
			return m.end()
		}
	case doPause:
		r.paused = true
		return r.each(func(m *model) error {
			if err := projections.Pause(r.ctx, r.books(), m.name, "drawn"); err != nil {
				return err
			}
			return r.whole(m)
		})
	case doResume:
		return r.resume()
	case doRebuild:
		return r.each(func(m *model) error { return r.looking(m).Rebuild(r.ctx, rebuild) })
	case doHalf:
		return r.half(1+d.number, func(p *projections.Projector) error { return p.Rebuild(r.ctx, rebuild) })
	case doHalfRetry:
		return r.half(1+d.number, func(p *projections.Projector) error { _, err := p.RetryAll(r.ctx); return err })
	case doRollback:
		return r.each(func(m *model) error {
			err := r.looking(m).Rollback(r.ctx, rebuild)
			if errors.Is(err, projections.ErrNotBuilt) {
				return nil
			}
			return err
		})
	case doRewind:
		return r.rewind(d.number)
	case doMend:
		r.mended.Store(true)
	case doRetry:
		return r.each(r.retry)
	case doSkip:
		return r.each(func(m *model) error { return r.skipParked(m, d.number) })
	case doSkipNext:
		if !r.alone {
			return r.skipNext(d.number)
		}
	}
	return nil
}

// breaks is a line that loses some messages, of those that change something, or their answers.
// Nil: it loses none.
func breaks(number int) *brittle {
	if number < 0 {
		return nil
	}
	return &brittle{at: 3 + int64(number), answered: number%3 == 0, changing: true, times: 4}
}

func (r *round) resume() error {
	if !r.paused {
		return nil
	}
	r.paused = false
	err := r.each(func(m *model) error {
		_, err := projections.Resume(r.ctx, r.books(), m.name)
		return err
	})
	return errors.Join(err, r.change(r.byLog)) // those who wait notice within a second only
}

// half lets a process do something with each projection, in which it dies before a message.
func (r *round) half(at int, do func(*projections.Projector) error) error {
	err := r.each(func(m *model) error {
		dying, err := r.process(r.ctx, r.category+m.name, at, nil)
		if err != nil {
			return err
		}
		err = do(dying.projector(m, r.plan, r.byLog))
		if dying.dead() || errors.Is(err, projections.ErrBusy) {
			err = nil
		}
		return errors.Join(err, dying.end())
	})
	return errors.Join(err, r.unlease())
}

// rewind takes all projections back to an event.
func (r *round) rewind(number int) error {
	if r.alone {
		return nil
	}
	r.paused = true
	to := r.history[number%len(r.history)].Position
	return r.each(func(m *model) error {
		if err := r.looking(m).Rewind(r.ctx, to, projections.WithChunk(r.chunk)); err != nil {
			return err
		}
		status, err := r.looking(m).Status(r.ctx)
		if err == nil && status.Position != to {
			err = fmt.Errorf("rewound to %d it is at %d", to, status.Position)
		}
		return errors.Join(err, r.whole(m))
	})
}
