package command

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/asof-dev/asof/projections"
)

// bar is a line on a terminal that is drawn over and over.
type bar struct {
	w     io.Writer
	phase string
	began time.Time // zero: nothing is drawn yet
	last  time.Time
}

const (
	drawEvery = 100 * time.Millisecond
	barWidth  = 30

	// A line that is longer than the terminal is wide would go on in the next one, and
	// drawing over it would leave its first part: so wrapping is off meanwhile, and
	// the terminal cuts it off. The cursor returns, as others may write here too.
	beginLine = "\x1b[?7l\r"
	endLine   = "\x1b[K\x1b[?7h\r"
)

func (b *bar) show(p projections.Progress) {
	if p.Phase == b.phase && time.Since(b.last) < drawEvery && p.Done < p.Total {
		return
	}
	if b.began.IsZero() {
		b.began = time.Now()
	}
	b.phase, b.last = p.Phase, time.Now()
	_, _ = io.WriteString(b.w, beginLine+safe(b.line(newProgressView(p)))+endLine) // a rebuild does not fail for a line that nobody reads
}

func (b *bar) line(p progressView) string {
	filled := int(barWidth * p.percent() / 100)
	drawn := strings.Repeat("=", filled) + strings.Repeat("-", barWidth-filled)
	return fmt.Sprintf("%s version %d: %-9s [%s] %d %%  %s of %s events, %s/s, %s",
		p.Projection, p.Version, p.Phase, drawn, p.percent(), count(p.Done), count(p.Total), count(p.PerSecond), time.Since(b.began).Round(time.Second))
}

// end leaves the last line where it is.
func (b *bar) end() {
	if !b.began.IsZero() {
		_, _ = io.WriteString(b.w, "\n")
	}
}
