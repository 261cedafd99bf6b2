// Package table keeps the rows of a read model: how a row type and a table fit together,
// and the rows in memory between one batch and the next. It knows a table, and nothing of
// events, builds and books.
//
// A row in memory carries the xmin with which it was found or written. Whoever else has
// changed it since, such as an operator, has left another, so that the write finds it out
// and gives [ErrStale].
package table

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// Place is the schema in which a build has its tables.
type Place struct {
	Schema string
	// Tag makes the texts of statements the build's own. pgx prepares statements by their
	// text, and the same text means other tables, with other types, in another build.
	Tag string
}

// Tagged marks a statement with the build that it is for.
func (p Place) Tagged(sql string) string { return "/* asof " + p.Tag + " */ " + sql }

// here stands for the schema of the build in the names of types that its DDL has made.
const here = "{build}."

// sql is a statement in which names of the build's own types are in its schema.
func (p Place) sql(text string) string {
	return p.Tagged(strings.ReplaceAll(text, here, Quote(p.Schema)+"."))
}

// Quote writes a name as SQL.
func Quote(name string) string { return pgx.Identifier{name}.Sanitize() }
