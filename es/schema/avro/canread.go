// Package avro keeps events as Avro, by schemas that stand in the program beside the types:
//
//	codec := avro.New[Event](
//		avro.Of(Placed{}, placedSchema),
//		avro.Of(Paid{}, paidSchema))
//
// A payload is in the single-object encoding: it begins with its schema's fingerprint, and the
// log keeps the schema. So it is read for ever by what it was written by, without a registry.
// [Upcast] leads from one schema version to the next.
//
// The package also tells whether one schema reads what another wrote, and if not, every reason
// why, in words for the one who changed it:
//
//	problems, err := avro.CanRead(next, former)
//	for _, p := range problems {
//		fmt.Println(p) // field total became string (it was int): add a new field
//	}
//
// The rules are those of "Schema Resolution" in the Avro specification (1.11 and 1.12), with
// a choice where it leaves one:
//
//   - Names of records, enums and fixed match by full name, or by an alias of the reader's.
//     The section says "(unqualified) name", while "Names" defines equality on the full name;
//     libraries differ (Apache's for Python compares full names), and consumers find types by
//     them. So a changed namespace is a problem, and an alias its cure.
//   - Null is a field's default where it is written. (The library takes it for that of each field
//     that may be null.)
//   - A union of the writer is read when each of its branches is: what may be written counts, not
//     what happens to be.
//   - Logical types, of which the section says nothing but that decimals match by precision and
//     scale: the reader may leave one out, or put one on a type of which each value is one (a
//     long as timestamp-millis), but not another in its place (timestamp-micros is a thousandth
//     of timestamp-millis), nor one that not each value is (uuid, decimal, times of a day).
//     Logical types that the specification does not have are left out of account, as it says.
//
// What these rules let pass, [github.com/twmb/avro.Resolve] resolves.
package avro

import (
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/avro"

	"github.com/asof-dev/asof/es/schema"
)

// CanRead lists why a reader's schema cannot read all that was written by a writer's; none when
// it can. Problems stand in the order of the reader's fields; what is wrong with a type that
// several fields have is told at the first of them. It fails when one of the texts is no
// schema, or when they are too large to compare.
func CanRead(reader, writer string) ([]schema.Problem, error) {
	r, err := parse("reader", reader)
	if err != nil {
		return nil, err
	}
	w, err := parse("writer", writer)
	if err != nil {
		return nil, err
	}
	c := comparison{seen: map[pair]bool{}, left: mostSteps}
	c.compare(nil, r, w)
	if c.left < 0 {
		return nil, errors.New("avro: the schemas are too large to compare: split them")
	}
	return c.problems, nil
}

// parse reads the schema of one of the two.
func parse(whose, text string) (*node, error) {
	if text == "" {
		return nil, fmt.Errorf("avro: the %s's schema is empty: give a JSON text", whose)
	}
	parsed, err := avro.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("avro: the %s's text is no Avro schema: %s", whose, strings.TrimPrefix(err.Error(), "avro: "))
	}
	return newTree(parsed.Root()), nil
}
