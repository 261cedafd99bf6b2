package jsonschema_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es/schema"
	"github.com/asof-dev/asof/es/schema/jsonschema"
)

func canRead(t *rapid.T, reader, writer string) []schema.Problem {
	problems, err := jsonschema.CanRead(reader, writer)
	if err != nil {
		t.Fatalf("%v\nreader %s\nwriter %s", err, reader, writer)
	}
	return problems
}

// What CanRead lets pass is so: no value that a writer may write is refused by the reader.
func TestCanRead_is_sound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := drawing{t: t}
		former := d.document()
		newer := former
		for range 1 + d.small("changes") {
			next, same := d.changed(newer, 3).(object)
			if same && next["$defs"] != nil {
				newer = next
			}
		}
		pairs := [][2]object{{former, newer}, {newer, former}, {d.document(), former}}
		pair := rapid.SampledFrom(pairs).Draw(t, "pair")
		sound(t, d, pair[0], pair[1])
	})
}

func sound(t *rapid.T, d drawing, reader, writer object) {
	r, w := text(t, reader), text(t, writer)
	reads, writes := validator(t, r), validator(t, w)
	if reads == nil || writes == nil {
		t.Fatalf("the oracle takes it for no schema:\n%s\n%s", r, w)
	}
	if len(canRead(t, r, w)) > 0 {
		return
	}
	for range 15 {
		v := d.near(writer, writer, 3)
		if writes.Validate(v) == nil {
			if err := reads.Validate(v); err != nil {
				t.Fatalf("%s can be written and not be read: %v\nreader %s\nwriter %s", text(t, v), err, r, w)
			}
		}
	}
}

// A schema reads what it wrote itself, and what one wrote that says the same in other words.
func TestCanRead_reads_its_own(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := drawing{t: t}
		s := d.document()
		titled := maps.Clone(s)
		titled["title"] = "the same"
		if problems := canRead(t, text(t, titled), text(t, s)); len(problems) > 0 {
			t.Fatalf("%s cannot read itself: %v", text(t, s), problems)
		}
		simple := drawing{t: t, simple: true}.document()
		other := respelled(simple).(object)
		if problems := canRead(t, text(t, other), text(t, simple)); len(problems) > 0 {
			t.Fatalf("%s cannot read the same, spelled\n%s: %v", text(t, other), text(t, simple), problems)
		}
	})
}

// respelled says the same in other words, in each schema, so that no two are alike and the rules
// decide.
func respelled(schema any) any {
	switch s := schema.(type) {
	case object:
		next := object{}
		for key, sub := range s {
			switch key {
			case "type":
				next[key] = types(sub)
			case "enum", "const", "required", "dependentRequired":
				next[key] = sub
			default:
				next[key] = respelled(sub)
			}
		}
		return next
	case []any:
		next := slices.Clone(s)
		for i := range s {
			next[i] = respelled(s[i])
		}
		return next
	}
	return schema
}

// types are those of a schema in another order, or in a list.
func types(of any) any {
	list, several := of.([]any)
	if !several {
		return []any{of}
	}
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}
