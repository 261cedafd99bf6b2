package projections

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

// manyTries is how often a page is folded again since others write to the build.
const manyTries = 10

// applyPage applies a page of the log to the live build, from the rows in memory. In this
// process pages wait for their turn here, not in the database with a connection each; and
// one that has begun is finished when ctx ends.
func (p *Applier) applyPage(ctx context.Context, b books.Build, events []es.RecordedEvent, pg *fold.Page) (books.Build, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	if err := ctx.Err(); err != nil {
		return b, err
	}
	ctx, stop := wait.Beyond(ctx, batchGrace)
	defer stop()
	m, err := p.memoryOf(ctx, b)
	if err != nil {
		return b, err
	}
	if pg == nil {
		pg = p.def.Page(m.model, events)
	}
	for try := 1; ; try++ {
		now, err := p.tryPage(ctx, m, pg)
		switch {
		case err == nil:
			return now, nil
		case (errors.Is(err, errOvertaken) || errors.Is(err, table.ErrStale)) && try < manyTries:
			p.log.DebugContext(ctx, "folds a page again", "why", err)
			if now, err := p.live(ctx); err != nil || now.ID != b.ID {
				return b, fmt.Errorf("%w: %s, build %d", errors.Join(fault.ErrFenced, err), b.Name, b.ID)
			}
		case p.refused(err):
			return p.careful(ctx, now, pg.Beyond(p.def, m.model, now.Position).Events, false)
		default:
			return now, fault.Wrap("apply a batch", err)
		}
	}
}

// memoryOf returns the rows of the live build that are in memory.
func (p *Applier) memoryOf(ctx context.Context, b books.Build) (*memory, error) {
	if m := p.memory; m != nil && m.b.ID == b.ID && m.b.Epoch == b.Epoch && m.b.Kind == b.Kind && m.b.Status == b.Status {
		if m.known && (m.b.Counter != b.Counter || m.b.Position != b.Position) {
			m.forget()
		}
		m.b.Life = b.Life
		return m, nil
	}
	m, err := p.remember(ctx, b)
	if err != nil {
		return nil, err
	}
	p.memory = m
	return m, nil
}

// tryPage folds a page and writes it. What another process has applied of it is left out.
func (p *Applier) tryPage(ctx context.Context, m *memory, pg *fold.Page) (books.Build, error) {
	if !m.known {
		if err := p.look(ctx, m); err != nil {
			return m.b, err
		}
	}
	if m.b.Position >= pg.Last().Position {
		return m.b, nil
	}
	if pg.Events[0].Position <= m.b.Position {
		pg = pg.Beyond(p.def, m.model, m.b.Position)
	}
	err := p.fold(ctx, m, pg)
	if err == nil {
		err = p.save(ctx, m, p.room/liveShare)
	}
	if err != nil {
		m.forget()
	}
	return m.b, err
}

// commitLive is commit for the live build. In this process batches wait for their
// turn here, not in the database with a connection each; and a batch that has begun
// is finished when ctx ends.
func (p *Applier) commitLive(ctx context.Context, b books.Build, w *work) (books.Build, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	if err := ctx.Err(); err != nil {
		return b, err
	}
	ctx, stop := wait.Beyond(ctx, batchGrace)
	defer stop()
	return p.commit(ctx, b, w)
}

// batchGrace is how long a batch that has begun may last after ctx has ended.
const batchGrace = 5 * time.Second
