package command

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/asof-dev/asof/projections"
)

// progress shows how far a rebuild is. Its methods are called one after the other.
type progress interface {
	show(p projections.Progress)
	end()
}

// newProgress is a bar on a terminal, else lines.
func newProgress(w io.Writer, json bool) progress {
	if file, ok := w.(*os.File); ok && !json && isatty.IsTerminal(file.Fd()) {
		return &bar{w: w}
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

func (l *lines) end() {}
