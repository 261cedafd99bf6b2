// Package jsonschema says whether what is valid by one JSON Schema is valid by another:
//
//	problems, err := jsonschema.CanRead(mine, theirs)
//	for _, p := range problems {
//		fmt.Println(p) // field total became string (it was integer): add a new field
//	}
//
// When it lists nothing, each value that is valid by the writer's schema is valid by the
// reader's. What it cannot decide it lists too, so a change may be refused that would have done:
// a pattern with another text, for instance, or a format that is new.
//
// Schemas are of drafts 4, 6, 7, 2019-09 and 2020-12, by their $schema; without one they are of
// 2020-12. Of formats and patterns the text counts. A default is a note, as in the specification:
// no validator fills it in, nor does [github.com/asof-dev/asof/es.JSON], so a field that is
// required now is a problem with a default too.
//
// An object is open unless its schema closes it, by additionalProperties or
// unevaluatedProperties: an open writer may have put anything under a name that its schema does
// not have. So a field that is added to an open object is a problem, unless any value of it
// will do, and one that is removed from a closed object is one.
//
// References lead to places in the same text: by #/$defs/name, $id or $anchor. A reference to
// elsewhere is an error, for nothing is loaded.
package jsonschema
