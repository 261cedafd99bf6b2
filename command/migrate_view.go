package command

import (
	"fmt"
	"io"
	"path"
	"time"

	"github.com/asof-dev/asof/migrations"
)

// migrationView is what `migrate` prints.
type migrationView struct {
	Sets []setView `json:"sets"`
}

type setView struct {
	Schema  string     `json:"schema"`
	Version int64      `json:"version"` // of the last file that is applied; 0 is none
	Pending int        `json:"pending"` // files that are not
	Files   []fileView `json:"files"`
}

type fileView struct {
	Version   int64      `json:"version"`
	Name      string     `json:"name"`
	AppliedAt *time.Time `json:"applied_at"` // null: not applied
	New       bool       `json:"new"`        // applied while this command ran
}

func newSetView(schema string, files []migrations.File) setView {
	view := setView{Schema: schema, Files: []fileView{}}
	for _, file := range files {
		f := fileView{Version: file.Version, Name: path.Base(file.Name)}
		if file.AppliedAt.IsZero() {
			view.Pending++
		} else {
			at := file.AppliedAt.UTC()
			f.AppliedAt = &at
			view.Version = max(view.Version, file.Version)
		}
		view.Files = append(view.Files, f)
	}
	return view
}

// markNew marks what is applied now and was not before.
func (v migrationView) markNew(before migrationView) {
	for i, set := range v.Sets {
		for j := range set.Files {
			set.Files[j].New = set.Files[j].AppliedAt != nil && before.Sets[i].Files[j].AppliedAt == nil
		}
	}
}

// WriteText writes a line for every file.
func (v migrationView) WriteText(w io.Writer) error {
	var rows []string
	for _, set := range v.Sets {
		for _, file := range set.Files {
			applied := "not yet"
			if file.AppliedAt != nil {
				applied = moment(*file.AppliedAt)
			}
			note := ""
			if file.New {
				note = "new"
			}
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s", oneLine(set.Schema), oneLine(file.Name), applied, note))
		}
	}
	return table(w, "SCHEMA\tMIGRATION\tAPPLIED\t", rows)
}
