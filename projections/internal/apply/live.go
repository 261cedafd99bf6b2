package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
	"github.com/asof-dev/asof/projections/internal/table"
)

// liveShare is the part of the memory that a projector has which only follows.
const liveShare = 4

// ManyTries is how often a page is folded again since others write to the build.
const ManyTries = 10

// takeTurn waits for the turn to write to the live build: in this process here, not in the
// database with a connection each. What has begun is finished when ctx ends, so it returns a
// context that lasts longer, and what gives the turn back.
func (a *Applier) takeTurn(ctx context.Context) (context.Context, func(), error) {
	a.turn.Lock()
	if err := ctx.Err(); err != nil {
		a.turn.Unlock()
		return ctx, nil, err
	}
	ctx, stop := wait.Beyond(ctx, batchGrace)
	return ctx, func() { stop(); a.turn.Unlock() }, nil
}

// ApplyPage applies a page of the log to the live build, from the rows in memory.
func (a *Applier) ApplyPage(ctx context.Context, b books.Build, events []es.RecordedEvent, pg *fold.Page) (books.Build, error) {
	ctx, giveBack, err := a.takeTurn(ctx)
	if err != nil {
		return b, err
	}
	defer giveBack()
	m, err := a.memoryOf(ctx, b)
	if err != nil {
		return b, err
	}
	if pg == nil {
		pg = a.Def.Page(ctx, m.Model, events)
	}
	for try := 1; ; try++ {
		now, err := a.tryPage(ctx, m, pg)
		switch {
		case err == nil:
			return now, nil
		case (errors.Is(err, errOvertaken) || errors.Is(err, table.ErrStale)) && try < ManyTries:
			a.Logger.DebugContext(ctx, "folds a page again", "why", err)
			if now, err := a.Live(ctx); err != nil || now.ID != b.ID {
				return b, fmt.Errorf("%w: %s, build %d", errors.Join(fault.ErrFenced, err), b.Name, b.ID)
			}
		case a.Refused(err):
			return a.Careful(ctx, now, pg.Beyond(ctx, a.Def, m.Model, now.Position).Events, false)
		default:
			return now, fault.Wrap("apply a batch", a.orFenced(ctx, b, false, err))
		}
	}
}

// memoryOf returns the rows of the live build that are in memory.
func (a *Applier) memoryOf(ctx context.Context, b books.Build) (*Memory, error) {
	if m := a.memory; m != nil && m.B.ID == b.ID && m.B.Epoch == b.Epoch && m.B.Kind == b.Kind && m.B.Status == b.Status {
		if m.known && (m.B.Counter != b.Counter || m.B.Position != b.Position) {
			m.Forget()
		}
		m.B.Life = b.Life
		return m, nil
	}
	m, err := a.Remember(ctx, b)
	if err != nil {
		return nil, err
	}
	a.memory = m
	return m, nil
}

// tryPage folds a page and writes it. What another process has applied of it is left out.
func (a *Applier) tryPage(ctx context.Context, m *Memory, pg *fold.Page) (books.Build, error) {
	if !m.known {
		if err := a.Look(ctx, m); err != nil {
			return m.B, err
		}
	}
	if m.B.Position >= pg.Last().Position {
		return m.B, nil
	}
	if pg.Events[0].Position <= m.B.Position {
		pg = pg.Beyond(ctx, a.Def, m.Model, m.B.Position)
	}
	err := a.Fold(ctx, m, pg)
	if err == nil {
		err = a.Save(ctx, m, a.Room/liveShare)
	}
	if err != nil {
		m.Forget()
	}
	return m.B, err
}

// CommitLive is Commit for the live build.
func (a *Applier) CommitLive(ctx context.Context, b books.Build, w *Work) (books.Build, error) {
	ctx, giveBack, err := a.takeTurn(ctx)
	if err != nil {
		return b, err
	}
	defer giveBack()
	return a.Commit(ctx, b, w)
}

// batchGrace is how long a batch that has begun may last after ctx has ended.
const batchGrace = 5 * time.Second
