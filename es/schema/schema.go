// Package schema is the contracts of payloads: what a schema says in one of three languages,
// whether one version of it reads what another wrote, and why not.
//
// Packages avro, protobuf and jsonschema below it are the languages.
package schema

import (
	"fmt"
	"strings"
)

// Kind is a schema's language, by its name in the Confluent API.
type Kind string

// The kinds.
const (
	Avro     Kind = "AVRO"
	Protobuf Kind = "PROTOBUF"
	JSON     Kind = "JSON"
)

// Problem is one reason why what one schema wrote cannot be read by another.
type Problem struct {
	// Path is the place, from the root, as people write it: total, lines[].price, prices{}
	// for the values of a map. It is empty for the root itself.
	Path string
	// Says what is the matter, as a sentence goes on after the path: "became string (it was
	// int)".
	Says string
	// Cure is what to do instead: "add a new field".
	Cure string
}

// String is the problem in one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Path == "" {
		b.WriteString("the whole ")
	} else {
		fmt.Fprintf(&b, "field %s ", p.Path)
	}
	b.WriteString(p.Says)
	if p.Cure != "" {
		b.WriteString(": " + p.Cure)
	}
	return b.String()
}

// CanRead lists why a reader's schema cannot read all that was written by a writer's; none
// when it can. It fails when one of the texts is no schema. Each language has one.
type CanRead func(reader, writer string) ([]Problem, error)
