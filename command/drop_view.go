package command

import (
	"fmt"
	"io"

	"github.com/asof-dev/asof/projections"
)

// dropView is what `drop` prints.
type dropView struct {
	Projection string        `json:"projection"`
	Whole      bool          `json:"whole"` // nothing is left of it
	Dropped    []droppedView `json:"dropped"`
}

// droppedView is a build that was dropped, as it was.
type droppedView struct {
	Build   int64  `json:"build"`
	Version int    `json:"version"`
	State   string `json:"state"`
	Schema  string `json:"schema"`
	Bytes   int64  `json:"bytes"`
}

func newDropView(name string, list []projections.Build, whole bool) dropView {
	v := dropView{Projection: name, Whole: whole, Dropped: []droppedView{}}
	for _, b := range list {
		v.Dropped = append(v.Dropped, droppedView{Build: b.ID, Version: b.Version, State: b.State, Schema: b.Schema, Bytes: b.Bytes()})
	}
	return v
}

// WriteText writes a line for each build.
func (v dropView) WriteText(w io.Writer) error {
	for _, b := range v.Dropped {
		_, err := fmt.Fprintf(w, "%s build %d is dropped: version %d, %s, schema %s, %s bytes\n",
			oneLine(v.Projection), b.Build, b.Version, b.State, oneLine(b.Schema), count(b.Bytes))
		if err != nil {
			return err
		}
	}
	if !v.Whole {
		return nil
	}
	_, err := fmt.Fprintf(w, "Nothing is left of %s.\n", oneLine(v.Projection))
	return err
}
