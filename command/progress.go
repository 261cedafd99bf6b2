package command

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/asof-dev/asof/projections"
)

// progress shows how far a rebuild is. Its methods are called one after the other.
type progress interface {
	show(p projections.Progress)
	end(done bool)
}

// newProgress is a bar on a terminal, else lines.
func newProgress(w io.Writer, json bool) progress {
	if file, ok := w.(*os.File); ok && !json && isatty.IsTerminal(file.Fd()) {
		return &bar{container: mpb.New(mpb.WithOutput(w), mpb.WithAutoRefresh())}
	}
	return &lines{out: &Printer{w: w, json: json}}
}

// lineEvery is how often a line is written while a phase lasts.
const lineEvery = time.Second

// lines writes a line for every phase, and one a second while it lasts.
type lines struct {
	out   *Printer
	phase string
	last  time.Time
}

func (l *lines) show(p projections.Progress) {
	if p.Phase == l.phase && time.Since(l.last) < lineEvery && p.Done < p.Total {
		return
	}
	l.phase, l.last = p.Phase, time.Now()
	_ = l.out.Line(progressLine{newProgressView(p)}) // a rebuild does not fail for a line that nobody reads
}

func (l *lines) end(bool) {}

// bar is a bar that moves.
type bar struct {
	container *mpb.Progress
	bar       *mpb.Bar
	last      atomic.Pointer[projections.Progress] // the bar is drawn from another goroutine
}

func (b *bar) show(p projections.Progress) {
	b.last.Store(&p)
	if b.bar == nil {
		b.bar = b.container.AddBar(0, // with a total it would count as complete before the switch
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string {
				p := b.last.Load()
				return fmt.Sprintf("%s version %d: %-9s ", p.Name, p.Version, p.Phase)
			})),
			mpb.AppendDecorators(decor.Percentage(), decor.Any(func(decor.Statistics) string {
				p := b.last.Load()
				return fmt.Sprintf("  %s of %s events, %s/s, ", count(p.Done), count(p.Total), count(int64(p.Rate)))
			}), decor.Elapsed(decor.ET_STYLE_GO)),
		)
	}
	b.bar.SetTotal(max(p.Total, p.Done, 1), false)
	b.bar.SetCurrent(p.Done)
}

func (b *bar) end(done bool) {
	if b.bar != nil && done {
		b.bar.SetTotal(-1, true)
	} else if b.bar != nil {
		b.bar.Abort(false)
	}
	b.container.Wait()
}
