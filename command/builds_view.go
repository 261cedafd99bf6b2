package command

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// buildsView is what `builds` prints.
type buildsView struct {
	Builds []standingView `json:"builds"`
}

// standingView is a build with all that stands in it.
type standingView struct {
	Projection string      `json:"projection"`
	Build      int64       `json:"build"`
	Version    int         `json:"version"`
	State      string      `json:"state"`  // "live", "kept" or "building"
	Active     bool        `json:"active"` // a rebuild holds it; false: it was stopped
	Schema     string      `json:"schema"`
	Kind       string      `json:"kind"`   // of source: "log" or "kafka"
	Source     string      `json:"source"` // in words
	Position   es.Position `json:"position"`
	MadeAt     time.Time   `json:"made_at"`
	ChangedAt  time.Time   `json:"changed_at"` // last; of a kept one, when another took its place
	Bytes      int64       `json:"bytes"`
	Gone       bool        `json:"gone"` // somebody has dropped its schema
	Tables     []tableView `json:"tables"`
}

type tableView struct {
	Name      string `json:"name"`
	Rows      *int64 `json:"rows"`      // null when it is not known
	Estimated bool   `json:"estimated"` // the rows are
	Bytes     int64  `json:"bytes"`
}

func newBuildsView(list []projections.Build) buildsView {
	v := buildsView{Builds: []standingView{}}
	for _, b := range list {
		v.Builds = append(v.Builds, newStandingView(b))
	}
	return v
}

func newStandingView(b projections.Build) standingView {
	v := standingView{
		Projection: b.Projection, Build: b.ID, Version: b.Version, State: b.State, Active: b.Active, Schema: b.Schema,
		Kind: b.Kind, Source: b.Source, Position: b.Position, MadeAt: b.Made.UTC(), ChangedAt: b.Changed.UTC(),
		Bytes: b.Bytes(), Gone: b.Gone, Tables: []tableView{},
	}
	for _, t := range b.Tables {
		table := tableView{Name: t.Name, Estimated: t.Estimated, Bytes: t.Bytes}
		if t.Rows >= 0 {
			table.Rows = &t.Rows
		}
		v.Tables = append(v.Tables, table)
	}
	return v
}

// WriteText writes a line for each build.
func (v buildsView) WriteText(w io.Writer) error {
	if len(v.Builds) == 0 {
		_, err := fmt.Fprintln(w, "There are no builds: run the projector, or rebuild.")
		return err
	}
	var rows []string
	for _, b := range v.Builds {
		rows = append(rows, row(b.Projection, b.Build, b.Version, b.state(), b.Kind, count(int64(b.Position)), moment(b.MadeAt), moment(b.ChangedAt), b.Schema, count(b.Bytes), b.tables()))
	}
	return table(w, "PROJECTION\tBUILD\tVERSION\tSTATE\tFROM\tAT\tMADE\tCHANGED\tSCHEMA\tBYTES\tROWS", rows)
}

func (v standingView) state() string {
	if v.State == projections.BuildBuilding && !v.Active {
		return "building, stopped"
	}
	return v.State
}

// tables says what rows the tables have.
func (v standingView) tables() string {
	if v.Gone {
		return "the schema is gone"
	}
	var list []string
	for _, t := range v.Tables {
		rows := "?"
		if t.Rows != nil {
			rows = count(*t.Rows)
			if t.Estimated {
				rows = "~" + rows
			}
		}
		list = append(list, rows+" "+t.Name)
	}
	return strings.Join(list, ", ")
}
