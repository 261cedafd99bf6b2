package command

import (
	"fmt"
	"io"
	"math"

	"github.com/asof-dev/asof/projections"
)

// progressLine is a line on the standard error while a rebuild goes on.
type progressLine struct {
	Progress progressView `json:"progress"`
}

type progressView struct {
	Projection string `json:"projection"`
	Version    int    `json:"version"`
	Phase      string `json:"phase"` // "reading", "verifying" or "live"
	Done       int64  `json:"done"`  // events
	Total      int64  `json:"total"`
	PerSecond  int64  `json:"per_second"`
}

func newProgressView(p projections.Progress) progressView {
	return progressView{Projection: p.Name, Version: p.Version, Phase: p.Phase, Done: p.Done, Total: p.Total, PerSecond: int64(math.Round(p.Rate))}
}

// percent is of the events that there were when it began; more may have come.
func (p progressView) percent() int64 {
	if p.Total == 0 {
		return 100
	}
	return min(100*p.Done/p.Total, 100)
}

// WriteText writes the line for people.
func (l progressLine) WriteText(w io.Writer) error {
	p := l.Progress
	_, err := fmt.Fprintf(w, "%s version %d: %s: %s of %s events (%d%%), %s/s\n",
		p.Projection, p.Version, p.Phase, count(p.Done), count(p.Total), p.percent(), count(p.PerSecond))
	return err
}
