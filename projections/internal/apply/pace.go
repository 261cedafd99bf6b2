package apply

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections/internal/table"
)

// A batch has as many events as were asked for at most (WithBatch). One whose events take
// Apply long is cut, so that what is folded is written about every second: then it is seen,
// and lost no more.

const (
	// foldTime is how long a batch may be folded. A rebuild, of which nobody sees anything
	// before its end, writes more at once.
	foldTime     = time.Second
	foldTimeBulk = 30 * time.Second

	// quick is how long a batch takes at most that tells nothing about the next.
	quick = 10 * time.Millisecond
)

// pace is how long Apply takes for an event, as the last batch has shown. It is safe for
// concurrent use.
type pace struct {
	each atomic.Int64 // zero: not worth looking at
}

// measure notes how long fold takes, but for what it waits for the database.
func (p *pace) measure(events int, send table.Send, fold func(table.Send) error) error {
	began, asked := time.Now(), time.Duration(0)
	err := fold(func(ctx context.Context, batch *pgx.Batch) error {
		before := time.Now()
		defer func() { asked += time.Since(before) }()
		return send(ctx, batch)
	})
	if err != nil || events == 0 {
		return err
	}
	took := time.Since(began) - asked
	if took < quick {
		took = 0
	}
	p.each.Store(int64(took) / int64(events))
	return nil
}

// most is how many events go into a batch. It halves with each try that came to nothing
// since others were quicker.
func (p *pace) most(bulk bool, try int) int {
	within := foldTime
	if bulk {
		within = foldTimeBulk
	}
	each := p.each.Load()
	if each == 0 {
		return math.MaxInt
	}
	return max(1, int(int64(within)>>try/each))
}

// short reports a batch that Apply is done with in no more time than others may wait.
func (p *pace) short(events int) bool {
	return int64(events)*p.each.Load() <= int64(foldTime)
}

// MostInTurn is how many of so many events may be folded while others wait.
func (a *Applier) MostInTurn(events int) int { return min(events, a.pace.most(false, 0)) }
