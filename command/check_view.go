package command

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/asof-dev/asof/es"
)

// checkView is what `check-events` prints.
type checkView struct {
	Right       bool            `json:"right"` // nothing failed, nothing differs
	Position    es.Position     `json:"position"`
	Events      int64           `json:"events"`
	Streams     int64           `json:"streams"`  // that were folded
	Others      []uncheckedView `json:"others"`   // events of categories without a decider: not decoded
	Failures    int64           `json:"failures"` // events
	Failed      []failedView    `json:"failed"`   // the first of them
	Compared    int64           `json:"compared"` // states
	Differences int64           `json:"differences"`
	Differ      []differView    `json:"differ"` // the first of them
}

type uncheckedView struct {
	Category string `json:"category"`
	Events   int64  `json:"events"`
}

type failedView struct {
	Category string      `json:"category"`
	ID       string      `json:"id"`
	Version  es.Version  `json:"version"`
	Position es.Position `json:"position"`
	Type     string      `json:"type"`
	Schema   int         `json:"schema"`
	Error    string      `json:"error"`
}

type differView struct {
	Category string     `json:"category"`
	ID       string     `json:"id"`
	Version  es.Version `json:"version"` // at which it was compared
	Why      string     `json:"why"`
}

func (c *check) view() checkView {
	missing := slices.SortedFunc(maps.Values(c.before), compareStreams)
	for _, was := range missing {
		if c.broken[es.StreamID{Category: was.Category, ID: was.ID}] {
			continue // it is named already
		}
		c.differs(was, "the log does not have it, or this program does not fold it")
	}
	v := checkView{
		Right: c.failures+c.differences == 0, Position: c.head, Events: c.events, Streams: c.streams, Others: []uncheckedView{},
		Failures: c.failures, Failed: append([]failedView{}, c.failed...), Compared: c.compared, Differences: c.differences, Differ: append([]differView{}, c.differ...),
	}
	for _, category := range slices.Sorted(maps.Keys(c.others)) {
		v.Others = append(v.Others, uncheckedView{category, c.others[category]})
	}
	return v
}

func compareStreams(a, b stateDigest) int {
	return cmp.Or(cmp.Compare(a.Category, b.Category), cmp.Compare(a.ID, b.ID))
}

// WriteText writes a line for each failure and difference, and what was done.
func (v checkView) WriteText(w io.Writer) error {
	for _, f := range v.Failed {
		if _, err := fmt.Fprintf(w, "failed   %s/%s version %d  position %d  %s\n", oneLine(f.Category), oneLine(f.ID), f.Version, f.Position, oneLine(f.Error)); err != nil {
			return err
		}
	}
	for _, d := range v.Differ {
		if _, err := fmt.Fprintf(w, "differs  %s/%s version %d  %s\n", oneLine(d.Category), oneLine(d.ID), d.Version, d.Why); err != nil {
			return err
		}
	}
	for _, o := range v.Others {
		if _, err := fmt.Fprintf(w, "not decoded, as the program has no decider of category %s: %s\n", oneLine(o.Category), counted(o.Events, "event", "events")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s up to position %s, %s: %s failed, %s of %s differ\n", counted(v.Events, "event", "events"), count(int64(v.Position)), counted(v.Streams, "stream", "streams"),
		count(v.Failures), count(v.Differences), counted(v.Compared, "state", "states"))
	return err
}

// checkLine is a line on the standard error while a check goes on.
type checkLine struct {
	Progress checkProgress `json:"progress"`
}

type checkProgress struct {
	Phase string      `json:"phase"`
	Done  es.Position `json:"done"`
	Total es.Position `json:"total"`
}

// WriteText writes the line for people.
func (l checkLine) WriteText(w io.Writer) error {
	p := l.Progress
	_, err := fmt.Fprintf(w, "%s: position %s of %s (%d%%)\n", p.Phase, count(int64(p.Done)), count(int64(p.Total)), 100*p.Done/max(p.Total, 1))
	return err
}
