package migrations

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
)

// Set is a numbered list of SQL migrations and the schema that they run in.
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

const schemaPattern = `^[a-z_][a-z0-9_]{0,62}$`

func (s Set) source() (fs.FS, error) {
	if !regexp.MustCompile(schemaPattern).MatchString(s.Schema) {
		return nil, fmt.Errorf("schema %q: use 1 to 63 of a-z 0-9 _, not beginning with a digit", s.Schema)
	}
	if s.Files == nil {
		return nil, fmt.Errorf("set of schema %s has no files", s.Schema)
	}
	if s.Dir == "" {
		return s.Files, nil
	}
	return fs.Sub(s.Files, s.Dir)
}
