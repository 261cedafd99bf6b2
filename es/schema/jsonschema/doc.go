// Package jsonschema stores events as JSON that is valid by a JSON Schema, and says whether what
// is valid by one schema is valid by another.
//
// [New] is a codec. It writes what [github.com/asof-dev/asof/es.JSON] writes, and refuses what
// is not valid:
//
//	codec := jsonschema.New[order.Event](
//		jsonschema.Of(order.Placed{}, placedSchema),
//		jsonschema.Of(order.Paid{}, paidSchema).Checked()) // when decoded too
//
// Formats are checked in each draft: since 2019-09 they are notes by the specification, but not
// for all who read the events, nor for [CanRead]. Those that the validator does not know are
// notes. Patterns are those of package regexp, which take linear time: one that it does not have,
// as (?=a), is a mistake in the program, and \s has no other spaces than those of ASCII.
//
// Numbers are exact, up to 1,000 characters and exponents of 400. A payload with others, or that
// is nested deeper than 1,000 levels, or has a name twice in an object, or takes more than some
// seconds to check, is refused. The validator keeps a compiled schema for each check that runs
// at the same time.
//
// Schemas are written by hand. Libraries that infer them from Go types describe other JSON than
// encoding/json writes, of []byte, json.RawMessage, types with a MarshalText, maps that are nil,
// fields with the option string, and embedded pointers.
//
// [CanRead] compares:
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
