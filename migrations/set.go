package migrations

import (
	"embed"
	"io/fs"

	"github.com/asof-dev/asof/internal/pg"
)

// Set is a numbered list of SQL migrations and the schema that they run in. Each set
// has a schema of its own: two in one would take each other's numbers for their own,
// and are refused.
type Set struct {
	// Schema is created when it is missing; the files' unqualified names are in it.
	// 1 to 63 of a-z 0-9 _, not beginning with a digit.
	Schema string
	// Files holds the migrations: 0001_name.sql, 0002_name.sql …
	Files fs.FS
	// Dir is the folder within Files; empty means its root.
	Dir string
}

//go:embed sql/*.sql
var files embed.FS

// Framework is the set of Asof's own tables, in the given schema; "asof" is usual.
func Framework(schema string) Set { return Set{Schema: schema, Files: files, Dir: "sql"} }

// plan is a set that was read: its files in order.
type plan struct {
	schema string
	table  string // of the versions, as SQL
	files  []file
}

func (s Set) plan() (plan, error) {
	if err := pg.ValidSchema(s.Schema); err != nil {
		return plan{}, invalid("%v", err)
	}
	if s.Files == nil {
		return plan{}, invalid("the set of schema %s has no files", s.Schema)
	}
	source := s.Files
	if s.Dir != "" {
		sub, err := fs.Sub(s.Files, s.Dir)
		if err != nil {
			return plan{}, invalid("the set of schema %s: %v", s.Schema, err)
		}
		source = sub
	}
	list, err := readFiles(source)
	if err != nil {
		return plan{}, invalid("the set of schema %s: %v", s.Schema, err)
	}
	return plan{schema: s.Schema, table: pg.Quote(s.Schema, versionTable), files: list}, nil
}

// newest is the number of the last file.
func (p plan) newest() int64 { return p.files[len(p.files)-1].version }

// file returns the file of a number, nil when there is none.
func (p plan) file(version int64) *file {
	for i := range p.files {
		if p.files[i].version == version {
			return &p.files[i]
		}
	}
	return nil
}

// plans reads all sets before anything is done, and refuses two in one schema.
func plans(sets []Set) ([]plan, error) {
	var list []plan
	for _, set := range sets {
		p, err := set.plan()
		if err != nil {
			return nil, err
		}
		for _, before := range list {
			if err := before.beside(p); err != nil {
				return nil, err
			}
		}
		list = append(list, p)
	}
	return list, nil
}

// beside refuses another set in the same schema. A set is the same with more files at
// its end.
func (p plan) beside(other plan) error {
	if p.schema != other.schema {
		return nil
	}
	for i := range min(len(p.files), len(other.files)) {
		a, b := p.files[i], other.files[i]
		if a.version != b.version || a.name != b.name || a.checksum != b.checksum {
			return otherSet("two sets in schema %s, one with %s, the other with %s%s: give each set a schema of its own",
				p.schema, a.name, b.name, map[bool]string{true: " of other content"}[a.name == b.name])
		}
	}
	return nil
}
