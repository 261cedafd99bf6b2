package command

import (
	"fmt"
	"io"
	"time"

	"github.com/asof-dev/asof/projections"
)

// rebuildView is what `rebuild` and `rollback` print in the end.
type rebuildView struct {
	Projection string  `json:"projection"`
	Version    int     `json:"version"`
	Events     int64   `json:"events"` // of the log, applied to the build
	Seconds    float64 `json:"seconds"`
	// Differing is how many rows the old tables had otherwise at the same position;
	// null when the old build is of another version or shape.
	Differing *int64 `json:"differing"`
}

func newRebuildView(p projections.Progress, took time.Duration) rebuildView {
	v := rebuildView{Projection: p.Name, Version: p.Version, Events: p.Done, Seconds: took.Round(time.Millisecond).Seconds()}
	if p.Compared {
		v.Differing = &p.Differing
	}
	return v
}

// WriteText writes a sentence.
func (v rebuildView) WriteText(w io.Writer) error {
	compared := "not compared: there was no old build of this version, or it is too large"
	if v.Differing != nil {
		compared = count(*v.Differing) + " rows differ from the old build"
	}
	_, err := fmt.Fprintf(w, "%s version %d is live: %s events in %s; %s\n", v.Projection, v.Version, count(v.Events), age(v.Seconds), compared)
	return err
}
