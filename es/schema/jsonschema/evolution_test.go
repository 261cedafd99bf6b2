package jsonschema_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/asof-dev/asof/es/schema/jsonschema"
)

// evolution is a change, with what the newer schema says of what the former wrote.
type evolution struct {
	name           string
	reader, writer string
	want           []string // nothing when it can be read
}

func evolutions() []evolution {
	return slices.Concat(fieldChanges(), scalarChanges(), listChanges(), logicChanges(), draftChanges())
}

func fieldChanges() []evolution {
	return []evolution{
		{"the same, in another order", `{"type":"object","properties":{"a":{"type":"string"},"b":{}},"required":["a","b"]}`, `{"required":["b","a"],"properties":{"b":{},"a":{"type":["string"]}},"type":["object"]}`, nil},
		{"notes", `{"title":"new","type":"object","properties":{"a":{"type":"string","description":"x"}}}`, `{"type":"object","properties":{"a":{"type":"string","default":"x"}}}`, nil},
		{"a type changes", `{"properties":{"total":{"type":"string"}}}`, `{"properties":{"total":{"type":"integer"}}}`,
			[]string{"field total became string (it was integer): add a new field"}},
		{"an optional field is added to a closed object", `{"additionalProperties":false,"properties":{"a":{"type":"string"},"b":{"type":"string"}}}`, `{"additionalProperties":false,"properties":{"a":{"type":"string"}}}`, nil},
		{"an optional field is added to an open object", `{"properties":{"a":{"type":"string"},"b":{"type":"string"}}}`, `{"properties":{"a":{"type":"string"}}}`,
			[]string{"field b is added to an open object, in which a writer may have put anything under that name: let it be anything, or close the former schema first (additionalProperties: false)"}},
		{"a field of any kind is added to an open object", `{"properties":{"a":{"type":"string"},"b":{}}}`, `{"properties":{"a":{"type":"string"}}}`, nil},
		{"a field is removed from an open object", `{"properties":{"a":{"type":"string"}}}`, `{"properties":{"a":{"type":"string"},"b":{"type":"string"}}}`, nil},
		{"a field is removed from a closed object", `{"additionalProperties":false,"properties":{"a":{"type":"string"}}}`, `{"additionalProperties":false,"properties":{"a":{"type":"string"},"b":{"type":"string"}}}`,
			[]string{"field b was removed from a closed object, and has been written: keep it, or open the object"}},
		{"an object is closed", `{"additionalProperties":false,"properties":{"a":{"type":"string"}}}`, `{"properties":{"a":{"type":"string"}}}`,
			[]string{"the whole is closed now, and a writer may have put other fields in it: leave it open"}},
		{"an object is opened", `{"properties":{"a":{"type":"string"}}}`, `{"additionalProperties":false,"properties":{"a":{"type":"string"}}}`, nil},
		{"a field is required", `{"required":["a"]}`, `{}`, []string{"field a is required now: leave it optional"}},
		{"a field is required with a default", `{"required":["a"],"properties":{"a":{"default":1}}}`, `{"properties":{"a":{}}}`,
			[]string{"field a is required now: leave it optional: a default is a note, which nothing fills in"}},
		{"a field becomes optional", `{}`, `{"required":["a"]}`, nil},
		{"all is listed", `{"required":["c"],"properties":{"a":{"type":"string"},"b":{"type":"object","properties":{"c":{"type":"boolean"}}}}}`, `{"properties":{"a":{"type":"integer"},"b":{"type":"object","properties":{"c":{"type":"null"}}}}}`,
			[]string{"field c is required now", "field a became string", "field b.c became boolean (it was null)"}},
		{"values of a map", `{"properties":{"prices":{"additionalProperties":{"type":"integer"}}}}`, `{"properties":{"prices":{"additionalProperties":{"type":"number"}}}}`,
			[]string{"field prices{} became integer (it was number)"}},
		{"a map takes more", `{"additionalProperties":{"type":"number"}}`, `{"additionalProperties":{"type":"integer"}}`, nil},
		{"a map gets a type", `{"additionalProperties":{"type":"integer"}}`, `{}`, []string{"field {} became integer (it was anything)"}},
		{"a map gets a named field that fits", `{"properties":{"a":{"type":"number"}},"additionalProperties":{"type":"integer"}}`, `{"additionalProperties":{"type":"integer"}}`, nil},
		{"a map loses a named field that does not fit", `{"additionalProperties":{"type":"integer"}}`, `{"properties":{"a":{"type":"number"}},"additionalProperties":{"type":"integer"}}`,
			[]string{"field a became integer (it was number)"}},
		{"patterns of names, the same", `{"patternProperties":{"^x-":{"type":["string","null"]}},"additionalProperties":false}`, `{"patternProperties":{"^x-":{"type":"string"}},"additionalProperties":false}`, nil},
		{"a pattern of names narrows", `{"patternProperties":{"^x-":{"type":"string"}}}`, `{"patternProperties":{"^x-":{"type":["string","null"]}}}`,
			[]string{"field {^x-} lost the type null"}},
		{"a named field matches a pattern", `{"patternProperties":{"^x-":{"type":"string"}},"additionalProperties":false}`, `{"properties":{"x-a":{"type":"string"},"x-b":{"type":"integer"}},"additionalProperties":false}`,
			[]string{"field x-b became string (it was integer)"}},
		{"a pattern of names is added", `{"patternProperties":{"^x-":{"type":"string"}}}`, `{}`, []string{"field {^x-} became string (it was anything)"}},
		{"a pattern of names is removed from a closed object", `{"additionalProperties":false}`, `{"patternProperties":{"^x-":{"type":"string"}},"additionalProperties":false}`, []string{"field {^x-} is refused now"}},
		{"names narrow", `{"propertyNames":{"maxLength":3}}`, `{"propertyNames":{"maxLength":4}}`, []string{"field {} has a name that"}},
		{"names widen", `{"propertyNames":{"maxLength":4}}`, `{"propertyNames":{"maxLength":3}}`, nil},
		{"names of a closed object", `{"propertyNames":{"maxLength":2}}`, `{"additionalProperties":false,"properties":{"ab":{},"a":{}}}`, nil},
		{"names that are too long", `{"propertyNames":{"maxLength":2}}`, `{"additionalProperties":false,"properties":{"abc":{}}}`, []string{"field abc has a name that"}},
		{"fewer fields may be there", `{"maxProperties":2}`, `{"maxProperties":3}`, []string{"the whole has a maxProperties that became 2 (it was 3)"}},
		{"as many are required as have to be there", `{"minProperties":2}`, `{"required":["a","b"]}`, nil},
		{"more have to be there", `{"minProperties":3}`, `{"required":["a","b"]}`, []string{"the whole has a minProperties that became 3 (it was 2)"}},
		{"a dependency is added", `{"dependentRequired":{"a":["b"]}}`, `{}`, []string{"field b is required now, where there is a"}},
		{"a dependency of a field that is not there", `{"dependentRequired":{"a":["b"]}}`, `{"properties":{"a":false}}`, nil},
		{"a dependency is removed", `{}`, `{"dependentRequired":{"a":["b"]}}`, nil},
		{"dependencies, in short", `{"dependentRequired":{"a":["c"]}}`, `{"dependentRequired":{"a":["b"],"b":["c"]}}`, nil},
		{"a dependent schema widens", `{"dependentSchemas":{"a":{"required":["b"]}}}`, `{"dependentSchemas":{"a":{"required":["b","c"]}}}`, nil},
		{"a dependent schema narrows", `{"dependentSchemas":{"a":{"required":["b","c"]}}}`, `{"dependentSchemas":{"a":{"required":["b"]}}}`, []string{"field c is required now"}},
		{"a dependent schema is about objects alone", `{"type":["object","null"]}`, `{"required":["a"],"dependentSchemas":{"a":{"type":["null","object"]}}}`, []string{"became object or null (it was anything)"}},
		{"closed by what is evaluated", `{"allOf":[{"properties":{"a":{}}}],"properties":{"b":{}},"unevaluatedProperties":false}`, `{"additionalProperties":false,"properties":{"a":{},"b":{}}}`, nil},
		{"closed by what is evaluated, both", `{"allOf":[{"properties":{"a":{},"c":{"type":"string"}}}],"properties":{"b":{}},"unevaluatedProperties":false}`, `{"allOf":[{"properties":{"a":{}}}],"properties":{"b":{}},"unevaluatedProperties":false}`, nil},
		{"what an alternative has evaluated", `{"additionalProperties":false}`, `{"anyOf":[{"properties":{"a":{}}},{}],"unevaluatedProperties":false}`, []string{"field a was removed from a closed object"}},
	}
}

func scalarChanges() []evolution {
	return []evolution{
		{"integer to number", `{"type":"number"}`, `{"type":"integer"}`, nil},
		{"number to integer", `{"type":"integer"}`, `{"type":"number"}`, []string{"the whole became integer (it was number)"}},
		{"whole multiples are integers", `{"type":"integer"}`, `{"type":"number","multipleOf":2}`, nil},
		{"null is allowed", `{"type":["string","null"]}`, `{"type":"string"}`, nil},
		{"null is not allowed", `{"type":"string"}`, `{"type":["string","null"]}`, []string{"the whole lost the type null: keep the type"}},
		{"a value is added", `{"enum":["paid","open","cancelled"]}`, `{"enum":["open","paid"]}`, nil},
		{"a value is lost", `{"enum":["open"]}`, `{"enum":["open","paid","cancelled"]}`, []string{"the whole lost the value paid", "the whole lost the value cancelled: keep the value"}},
		{"a value of another type does not count", `{"type":"string","enum":["a"]}`, `{"type":"string","enum":["a",1]}`, nil},
		{"any string to some", `{"enum":["a","b"]}`, `{"type":"string"}`, []string{"the whole may only be a or b now"}},
		{"some to any string", `{"type":"string","minLength":1,"pattern":"^[a-z]+$"}`, `{"enum":["a","b"]}`, nil},
		{"some strings that are too short", `{"minLength":2}`, `{"enum":["a","bc"]}`, []string{"the whole has a minLength that became 2"}},
		{"const to enum", `{"enum":[1,2]}`, `{"const":1.0}`, nil},
		{"enum to const", `{"const":1}`, `{"enum":[1,2]}`, []string{"the whole lost the value 2"}},
		{"all booleans", `{"enum":[false,true]}`, `{"type":"boolean"}`, nil},
		{"an object as a value", `{"type":"object","required":["a"],"properties":{"a":{"type":"integer"}},"additionalProperties":false}`, `{"const":{"a":1}}`, nil},
		{"a list as a value", `{"items":{"type":"integer"},"uniqueItems":true,"contains":{"const":1},"maxItems":2}`, `{"const":[1,2]}`, nil},
		{"a lower minimum", `{"minimum":1}`, `{"minimum":2}`, nil},
		{"a higher minimum", `{"minimum":2.5}`, `{"minimum":2}`, []string{"the whole has a minimum that became 2.5 (it was 2)"}},
		{"an exclusive minimum", `{"exclusiveMinimum":2}`, `{"minimum":2}`, []string{"the whole has a minimum that became 2, exclusive (it was 2)"}},
		{"an exclusive minimum of integers", `{"minimum":3}`, `{"type":"integer","exclusiveMinimum":2}`, nil},
		{"an exclusive maximum of integers", `{"maximum":-3}`, `{"type":"integer","exclusiveMaximum":-1.5,"maximum":-2.5}`, nil},
		{"a maximum is new", `{"maximum":10}`, `{}`, []string{"the whole has a maximum that became 10 (it was none)"}},
		{"a maximum of numbers does not count for strings", `{"maximum":10}`, `{"type":"string"}`, nil},
		{"numbers that floats take for equal", `{"maximum":9007199254740992}`, `{"maximum":9007199254740993}`, []string{"became 9007199254740992 (it was 9007199254740993)"}},
		{"decimals that floats take for equal", `{"minimum":0.1}`, `{"minimum":0.1000000000000000000000000001}`, nil},
		{"a divisor of the former", `{"multipleOf":0.01}`, `{"multipleOf":0.05}`, nil},
		{"no divisor of the former", `{"multipleOf":0.03}`, `{"multipleOf":0.05}`, []string{"became a multiple of 0.03 (it was of 0.05)"}},
		{"integers are multiples of 1", `{"multipleOf":1}`, `{"type":"integer"}`, nil},
		{"a longer text", `{"maxLength":20}`, `{"maxLength":10}`, nil},
		{"a shorter text", `{"maxLength":10}`, `{"maxLength":20}`, []string{"has a maxLength that became 10 (it was 20)"}},
		{"another pattern", `{"pattern":"^[a-z]+$"}`, `{"pattern":"^[a-y]+$"}`, []string{"got the pattern ^[a-z]+$"}},
		{"a pattern is removed", `{"type":"string"}`, `{"type":"string","pattern":"a"}`, nil},
		{"a format is new", `{"format":"date"}`, `{"type":"string"}`, []string{"has the format date (it was none)"}},
		{"a format changes", `{"format":"date"}`, `{"format":"date-time"}`, []string{"has the format date (it was date-time)"}},
		{"a format is removed", `{"type":"string"}`, `{"type":"string","format":"date"}`, nil},
	}
}

func listChanges() []evolution {
	return []evolution{
		{"items change", `{"properties":{"lines":{"type":"array","items":{"properties":{"price":{"type":"string"}}}}}}`, `{"properties":{"lines":{"type":"array","items":{"properties":{"price":{"type":"number"}}}}}}`,
			[]string{"field lines[].price became string (it was number)"}},
		{"items widen", `{"items":{"type":"number"}}`, `{"items":{"type":"integer"}}`, nil},
		{"items at places", `{"prefixItems":[{"type":"string"},{"type":"string"}]}`, `{"prefixItems":[{"type":"string"},{"type":"integer"}]}`, []string{"field [1] became string (it was integer)"}},
		{"items at places, by all", `{"items":{"type":"number"}}`, `{"prefixItems":[{"type":"integer"},{"type":"number"}],"items":false}`, nil},
		{"all, by items at places", `{"prefixItems":[{"type":"number"},{"type":"integer"}],"items":{"type":"number"}}`, `{"items":{"type":"integer"}}`, nil},
		{"a list is closed", `{"prefixItems":[{}],"items":false}`, `{"prefixItems":[{}]}`, []string{"the whole is closed now, and a writer may have put more items in it"}},
		{"a closed list has a greatest length", `{"maxItems":2}`, `{"prefixItems":[{},{}],"items":false}`, nil},
		{"a list that is short enough", `{"prefixItems":[{},{}],"items":false}`, `{"maxItems":2}`, nil},
		{"fewer items", `{"maxItems":1}`, `{"maxItems":2}`, []string{"has a maxItems that became 1 (it was 2)"}},
		{"one item is unique", `{"uniqueItems":true}`, `{"maxItems":1}`, nil},
		{"unique items", `{"uniqueItems":true}`, `{}`, []string{"has to have unique items now"}},
		{"contains widens", `{"contains":{"type":"number"}}`, `{"contains":{"type":"integer"}}`, nil},
		{"contains narrows", `{"contains":{"type":"integer"}}`, `{"contains":{"type":"number"}}`, []string{"has to contain 1 of what contains says now"}},
		{"what all items are", `{"contains":{"type":"number"},"minContains":2}`, `{"items":{"type":"integer"},"minItems":2}`, nil},
		{"more of them", `{"contains":{"const":1},"minContains":2}`, `{"contains":{"const":1}}`, []string{"has to contain 2"}},
		{"fewer of them", `{"contains":{"const":1},"maxContains":2}`, `{"contains":{"const":1},"maxContains":3}`, []string{"may contain no more than 2"}},
	}
}

func logicChanges() []evolution {
	const (
		cat  = `{"properties":{"kind":{"const":"cat"},"lives":{"type":"integer"}},"required":["kind"]}`
		dog  = `{"properties":{"kind":{"const":"dog"},"name":{"type":"string"}},"required":["kind"]}`
		bird = `{"properties":{"kind":{"const":"bird"}},"required":["kind"]}`
	)
	return []evolution{
		{"nothing is valid", `{"type":"string"}`, `false`, nil},
		{"all is valid", `true`, `{"type":"string"}`, nil},
		{"nothing will do", `false`, `{"type":"string"}`, []string{"the whole is refused now"}},
		{"nullable, in another way", `{"anyOf":[{"type":"string"},{"type":"null"}]}`, `{"type":["null","string"]}`, nil},
		{"nullable, back", `{"type":["null","string"]}`, `{"oneOf":[{"type":"string"},{"type":"null"}]}`, nil},
		{"null is lost", `{"anyOf":[{"type":"string"},{"type":"integer"}]}`, `{"anyOf":[{"type":"string"},{"type":"null"}]}`, []string{"lost the alternative that was null"}},
		{"within a nullable", `{"anyOf":[{"type":"object","required":["a"]},{"type":"null"}]}`, `{"anyOf":[{"type":"object"},{"type":"null"}]}`, []string{"field a is required now"}},
		{"an alternative is added", `{"anyOf":[` + cat + `,` + dog + `,` + bird + `]}`, `{"anyOf":[` + cat + `,` + dog + `]}`, nil},
		{"an alternative is added to oneOf", `{"oneOf":[` + bird + `,` + cat + `,` + dog + `]}`, `{"oneOf":[` + cat + `,` + dog + `]}`, nil},
		{"an alternative is lost", `{"oneOf":[` + cat + `]}`, `{"oneOf":[` + cat + `,` + dog + `]}`, []string{"lost the alternative that was"}},
		{"an alternative overlaps", `{"oneOf":[{"type":"integer"},{"type":"number"}]}`, `{"oneOf":[{"type":"integer"},{"type":"string"}]}`, []string{"may fit two alternatives of oneOf at once now", "lost the alternative that was string"}},
		{"an alternative widens", `{"oneOf":[{"type":"integer"},{"type":"string"}]}`, `{"oneOf":[{"type":"integer","minimum":1},{"type":"string","maxLength":2}]}`, nil},
		{"oneOf, of what is unchanged", `{"oneOf":[{"required":["a"]},{"required":["b"]}],"maxProperties":9}`, `{"maxProperties":8,"oneOf":[{"required":["a"]},{"required":["b"]}]}`, nil},
		{"anyOf to oneOf", `{"oneOf":[{"required":["a"]},{"required":["b"]}]}`, `{"anyOf":[{"required":["a"]},{"required":["b"]}]}`, []string{"may fit two alternatives of oneOf at once now"}},
		{"allOf, in one", `{"type":"object","required":["a","b"]}`, `{"allOf":[{"type":"object","required":["a"]},{"required":["b"]}]}`, nil},
		{"one, in allOf", `{"allOf":[{"type":"object","required":["a"]},{"required":["b"]}]}`, `{"type":"object","required":["a","b"]}`, nil},
		{"not, the same", `{"not":{"required":["a"]},"maxProperties":9}`, `{"not":{"required":["a"]},"maxProperties":8}`, nil},
		{"not narrows what it refuses", `{"not":{"required":["a","b"]}}`, `{"not":{"required":["a"]}}`, nil},
		{"not refuses more", `{"not":{"required":["a"]}}`, `{"not":{"required":["a","b"]}}`, []string{"may be what its not refuses now"}},
		{"if, the same", `{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]},"maxProperties":9}`, `{"if":{"required":["a"]},"then":{"required":["b","d"]},"else":{"required":["c"]},"maxProperties":8}`, nil},
		{"then narrows", `{"if":{"required":["a"]},"then":{"required":["b","d"]}}`, `{"if":{"required":["a"]},"then":{"required":["b"]}}`, []string{"field d is required now"}},
		{"if, as alternatives", `{"if":{"type":"string"},"then":{"maxLength":2},"else":{"type":"null"}}`, `{"oneOf":[{"type":"string","maxLength":2},{"type":"null"}]}`, nil},
		{"an alternative that is the whole", `{"anyOf":[{"$ref":"#"},{"type":"string"}]}`, `{"type":"integer"}`, []string{"goes in a circle"}},
		{"a tree", `{"$ref":"#/$defs/t","$defs":{"t":{"properties":{"v":{"type":"number"},"kids":{"type":"array","items":{"$ref":"#/$defs/t"}}},"additionalProperties":false}}}`, `{"$ref":"#/$defs/t","$defs":{"t":{"properties":{"v":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#/$defs/t"}}},"additionalProperties":false}}}`, nil},
		{"a tree that narrows", `{"properties":{"v":{"type":"integer"},"kids":{"items":{"$ref":"#"}}}}`, `{"properties":{"v":{"type":"number"},"kids":{"items":{"$ref":"#"}}}}`, []string{"field v became integer (it was number)"}},
		{"two definitions, changed", `{"properties":{"bill":{"$ref":"#/$defs/a"},"ship":{"$ref":"#/$defs/a"}},"$defs":{"a":{"properties":{"zip":{"type":"string"}}}}}`, `{"properties":{"bill":{"$ref":"#/$defs/a"},"ship":{"$ref":"#/$defs/a"}},"$defs":{"a":{"properties":{"zip":{"type":"integer"}}}}}`, []string{"field bill.zip became string (it was integer)", "field ship.zip became string (it was integer)"}},
	}
}

func draftChanges() []evolution {
	const (
		four   = `"$schema":"http://json-schema.org/draft-04/schema#",`
		seven  = `"$schema":"http://json-schema.org/draft-07/schema#",`
		twenty = `"$schema":"https://json-schema.org/draft/2020-12/schema",`
	)
	return []evolution{
		{"draft 4's exclusive minimum", `{"exclusiveMinimum":1}`, `{` + four + `"minimum":1,"exclusiveMinimum":true}`, nil},
		{"draft 4's minimum", `{"exclusiveMinimum":1}`, `{` + four + `"minimum":1,"exclusiveMinimum":false}`, []string{"has a minimum that became 1, exclusive (it was 1)"}},
		{"draft 4 has no const", `{"const":1}`, `{` + four + `"const":1}`, []string{"may only be 1 now"}},
		{"draft 7's tuples", `{"prefixItems":[{"type":"string"}],"items":false}`, `{` + seven + `"items":[{"type":"string"}],"additionalItems":false}`, nil},
		{"draft 7's dependencies", `{"dependentRequired":{"a":["b"]},"dependentSchemas":{"c":{"required":["d"]}}}`, `{` + seven + `"dependencies":{"a":["b"],"c":{"required":["d"]}}}`, nil},
		{"before 2019-09 a $ref stands alone", `{"type":"string"}`, `{` + seven + `"definitions":{"x":{}},"allOf":[{"$ref":"#/definitions/x","type":"string"}]}`, []string{"became string (it was anything)"}},
		{"since 2019-09 it does not", `{"type":"string"}`, `{` + twenty + `"$defs":{"x":{}},"$ref":"#/$defs/x","type":"string"}`, nil},
		{"by $id and $anchor", `{"$ref":"#n","$defs":{"x":{"$anchor":"n","type":"number"}}}`, `{"$id":"https://example.com/a.json","$ref":"b.json#y","$defs":{"x":{"$id":"b.json","$defs":{"z":{"$anchor":"y","type":"integer"}}}}}`, nil},
		{"by $id of draft 7", `{"type":"number"}`, `{` + seven + `"allOf":[{"$ref":"#n"}],"definitions":{"x":{"$id":"#n","type":"integer"}}}`, nil},
		{"a $dynamicRef that can lead to one place", `{"$dynamicRef":"#t","$defs":{"x":{"$dynamicAnchor":"t","type":"number"}}}`, `{"type":"integer"}`, nil},
		{"a $recursiveRef that can lead to one place", `{"$schema":"https://json-schema.org/draft/2019-09/schema","items":{"$recursiveRef":"#"},"type":["array","null"]}`, `{"type":"array","items":{"type":"null"}}`, nil},
	}
}

func TestCanRead_evolutions(t *testing.T) {
	t.Parallel()
	for _, e := range evolutions() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			problems, err := jsonschema.CanRead(e.reader, e.writer)
			if err != nil {
				t.Fatal(err)
			}
			says := make([]string, 0, len(problems))
			for _, p := range problems {
				says = append(says, p.String())
			}
			if len(says) != len(e.want) {
				t.Fatalf("got %d problems, want %d:\n%s", len(says), len(e.want), strings.Join(says, "\n"))
			}
			for _, want := range e.want {
				if !slices.ContainsFunc(says, func(s string) bool { return strings.Contains(s, want) }) {
					t.Errorf("missing %q in\n%s", want, strings.Join(says, "\n"))
				}
			}
		})
	}
}
