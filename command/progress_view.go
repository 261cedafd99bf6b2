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

// WriteText writes the line for people.
func (l progressLine) WriteText(w io.Writer) error {
	p := l.Progress
	percent := int64(100)
	if p.Total > 0 {
		percent = min(100*p.Done/p.Total, 100)
	}
	_, err := fmt.Fprintf(w, "%s version %d: %s: %s of %s events (%d%%), %s/s\n",
		p.Projection, p.Version, p.Phase, count(p.Done), count(p.Total), percent, count(p.PerSecond))
	return err
}
