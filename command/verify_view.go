package command

import (
	"fmt"
	"io"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// verifyView is what `verify` prints.
type verifyView struct {
	Projection string         `json:"projection"`
	Same       bool           `json:"same"` // nothing differs
	Builds     []verifiedView `json:"builds"`
}

type verifiedView struct {
	Build       int64          `json:"build"`
	Version     int            `json:"version"`
	State       string         `json:"state"`
	Kind        string         `json:"kind"` // of source
	Position    es.Position    `json:"position"`
	Partly      bool           `json:"partly"` // a category that it should have, and has no event of, is not noticed
	Categories  []comparedView `json:"categories"`
	Differences []string       `json:"differences"` // in words
}

type comparedView struct {
	Name    string `json:"name"`
	Applied int64  `json:"applied"` // events
	Logged  int64  `json:"logged"`
	Same    bool   `json:"same"`
}

func newVerifyView(name string, list []projections.Verification) verifyView {
	v := verifyView{Projection: name, Builds: []verifiedView{}}
	for _, one := range list {
		b := verifiedView{
			Build: one.Build.ID, Version: one.Build.Version, State: one.Build.State, Kind: one.Build.Kind, Position: one.Build.Position,
			Partly: one.Partly, Categories: []comparedView{}, Differences: append([]string{}, one.Differences()...),
		}
		for _, c := range one.Categories {
			b.Categories = append(b.Categories, comparedView(c))
		}
		v.Builds = append(v.Builds, b)
	}
	v.Same = v.differing() == 0
	return v
}

func (v verifyView) differing() (n int64) {
	for _, b := range v.Builds {
		if len(b.Differences) > 0 {
			n++
		}
	}
	return n
}

// WriteText writes a line for each build, and below it what differs.
func (v verifyView) WriteText(w io.Writer) error {
	for _, b := range v.Builds {
		if _, err := fmt.Fprintf(w, "%s build %d (version %d, %s) %s\n", oneLine(v.Projection), b.Build, b.Version, b.State, b.verdict()); err != nil {
			return err
		}
		for _, difference := range b.Differences {
			if _, err := fmt.Fprintln(w, "  "+oneLine(difference)); err != nil {
				return err
			}
		}
		if b.Partly {
			if _, err := fmt.Fprintln(w, "  which categories it should have is not known here: those were compared that it has events of"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v verifiedView) verdict() string {
	verdict := "agrees with the log"
	if len(v.Differences) > 0 {
		verdict = "differs from the log"
	}
	reach := fmt.Sprintf("up to position %s", count(int64(v.Position)))
	if v.Kind == fromKafka {
		reach += ", and after it in what Kafka has brought"
	}
	var events int64
	for _, c := range v.Categories {
		events += c.Applied
	}
	return fmt.Sprintf("%s %s: %s events of %d categories are applied", verdict, reach, count(events), len(v.Categories))
}
