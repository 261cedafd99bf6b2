package jsonschema_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	oracle "github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

// object is a schema, or a value, that is drawn.
type object = map[string]any

// drawing draws schemas of a kind.
type drawing struct {
	t *rapid.T
	// simple leaves out what is not decided in all cases, so that a change that only widens may
	// be refused: alternatives that exclude each other, patterns of names, and what is not evaluated.
	simple bool
}

func (d drawing) pick(label string, of ...string) string {
	return rapid.SampledFrom(of).Draw(d.t, label)
}

func (d drawing) chance(label string, of int) bool {
	return rapid.IntRange(1, of).Draw(d.t, label) == 1
}

func (d drawing) small(label string) int { return rapid.IntRange(0, 3).Draw(d.t, label) }

// document is a schema with definitions, which lead to each other below a value.
func (d drawing) document() object {
	s := d.object(3)
	s["$defs"] = object{"x": d.object(2), "y": d.object(2)}
	if d.chance("root is x", 6) {
		s["$ref"] = "#/$defs/x"
	}
	return s
}

// below is a schema of what is below a value: it may lead back.
func (d drawing) below(depth int) any {
	if d.chance("ref", 5) {
		return object{"$ref": d.pick("to", "#/$defs/x", "#/$defs/y", "#")}
	}
	return d.schema(depth)
}

func (d drawing) schema(depth int) any {
	if d.chance("boolean", 10) {
		return rapid.Bool().Draw(d.t, "all")
	}
	return d.object(depth)
}

func (d drawing) object(depth int) object {
	s := object{}
	if !d.chance("untyped", 3) {
		s["type"] = d.pick("type", "object", "object", "array", "string", "integer", "number", "boolean", "null")
		if d.chance("nullable", 5) {
			s["type"] = slices.Compact([]any{s["type"], "null"})
		}
	}
	kinds := []func(object, int){d.numbers, d.texts, d.values}
	if depth > 0 {
		kinds = append(kinds, d.fields, d.fields, d.moreFields, d.items, d.moreItems, d.logic)
	}
	for range d.small("kinds") {
		rapid.SampledFrom(kinds).Draw(d.t, "kind")(s, depth-1)
	}
	return s
}

func (d drawing) numbers(s object, _ int) {
	key := d.pick("limit", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
	s[key] = json.Number(d.pick("at", "1", "2", "0.5", "3", "1.0"))
}

func (d drawing) texts(s object, _ int) {
	switch key := d.pick("text", "minLength", "maxLength", "pattern", "format"); key {
	case "pattern":
		s[key] = d.pick("pattern", "^a", "b$", "^[a-c]*$")
	case "format":
		s[key] = d.pick("format", "date", "time")
	default:
		s[key] = d.small("length")
	}
}

func (d drawing) values(s object, _ int) {
	list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any { return drawing{t: t}.value(1) }), 1, 3).Draw(d.t, "enum")
	if len(list) == 1 {
		s["const"] = list[0]
		return
	}
	s["enum"] = list
}

func (d drawing) name() string { return d.pick("name", "a", "b", "ab", "c") }

func (d drawing) subs(depth int) object {
	subs := object{}
	for range d.small("fields") {
		subs[d.name()] = d.below(depth)
	}
	return subs
}

func (d drawing) fields(s object, depth int) {
	s["properties"] = d.subs(depth)
	if d.chance("closed", 2) {
		s["additionalProperties"] = rapid.Bool().Draw(d.t, "open")
	}
	if d.chance("required", 2) {
		s["required"] = []any{d.name()}
	}
}

func (d drawing) moreFields(s object, depth int) {
	switch key := d.pick("field keyword", "additionalProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties",
		"dependentRequired", "dependentSchemas", "unevaluatedProperties"); key {
	case "additionalProperties":
		s[key] = d.below(depth)
	case "patternProperties":
		if !d.simple {
			s[key] = object{d.pick("names", "^a", "b$"): d.below(depth)}
		}
	case "propertyNames":
		s[key] = object{d.pick("of names", "maxLength", "minLength"): d.small("length")}
	case "dependentRequired":
		s[key] = object{d.name(): []any{d.name()}}
	case "dependentSchemas":
		s[key] = object{d.name(): d.schema(depth)}
	case "unevaluatedProperties":
		if !d.simple {
			s[key] = d.below(depth)
		}
	default:
		s[key] = d.small("fields")
	}
}

func (d drawing) items(s object, depth int) { s["items"] = d.below(depth) }

func (d drawing) moreItems(s object, depth int) {
	switch key := d.pick("item keyword", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "unevaluatedItems"); key {
	case "prefixItems":
		s[key] = []any{d.below(depth), d.below(depth)}
	case "uniqueItems":
		s[key] = true
	case "contains":
		s[key] = d.below(depth)
		if d.chance("counted", 2) {
			s[d.pick("of items", "minContains", "maxContains")] = d.small("items")
		}
	case "unevaluatedItems":
		if !d.simple {
			s[key] = d.below(depth)
		}
	default:
		s[key] = d.small("items")
	}
}

func (d drawing) logic(s object, depth int) {
	two := func() []any { return []any{d.schema(depth), d.schema(depth)} }
	switch key := d.pick("logic", "allOf", "anyOf", "oneOf", "not", "if"); {
	case key == "allOf" || key == "anyOf":
		s[key] = two()
	case d.simple:
	case key == "oneOf":
		s[key] = two()
	case key == "not":
		s[key] = d.schema(depth)
	default:
		s["if"], s["then"], s["else"] = d.schema(depth), d.schema(depth), d.schema(depth)
	}
}

// value draws any.
func (d drawing) value(depth int) any {
	kind := rapid.IntRange(0, 4).Draw(d.t, "kind of value")
	if depth == 0 && kind < 2 {
		kind += 2
	}
	switch kind {
	case 0:
		v := object{}
		for range d.small("fields") {
			v[d.name()] = d.value(depth - 1)
		}
		return v
	case 1:
		v := []any{}
		for range d.small("items") {
			v = append(v, d.value(depth-1))
		}
		return v
	case 2:
		return d.pick("string", "", "a", "b", "ab", "ba", "abc", "2000-01-01")
	case 3:
		return json.Number(d.pick("number", "0", "1", "2", "3", "-1", "0.5", "2.5", "1.0", "4e0"))
	}
	return rapid.SampledFrom([]any{nil, true, false}).Draw(d.t, "plain")
}

// near draws a value that may be valid by a schema.
func (d drawing) near(schema any, root object, depth int) any {
	s, ok := schema.(object)
	if !ok || depth < 0 || d.chance("any", 12) {
		return d.value(max(depth, 0))
	}
	if to, ok := s["$ref"].(string); ok {
		if to == "#" {
			return d.near(root, root, depth-1)
		}
		return d.near(root["$defs"].(object)[to[len("#/$defs/"):]], root, depth-1)
	}
	for _, key := range []string{"enum", "anyOf", "oneOf", "allOf"} {
		if list, ok := s[key].([]any); ok && d.chance(key, 2) {
			one := rapid.SampledFrom(list).Draw(d.t, "one")
			if key == "enum" {
				return one
			}
			return d.near(one, root, depth)
		}
	}
	if v, ok := s["const"]; ok {
		return v
	}
	_, fields := s["properties"]
	_, items := s["items"]
	switch kind := s["type"]; {
	case kind == "object" || kind == nil && fields:
		return d.nearObject(s, root, depth)
	case kind == "array" || kind == nil && items:
		return d.nearList(s, root, depth)
	case kind == "string":
		return d.pick("string", "", "a", "b", "ab", "abc")
	case kind == "integer" || kind == "number":
		return json.Number(d.pick("number", "0", "1", "2", "3", "1.5", "4.0"))
	case kind == "boolean":
		return d.chance("true", 2)
	case kind == "null":
		return nil
	}
	return d.value(max(depth, 0))
}

func (d drawing) nearObject(s, root object, depth int) any {
	v := object{}
	fields, _ := s["properties"].(object)
	needed, _ := s["required"].([]any)
	for _, name := range []string{"a", "b", "ab", "c"} {
		sub, known := fields[name]
		if !known {
			sub = s["additionalProperties"]
		}
		if slices.Contains(needed, any(name)) || known && d.chance("there", 2) || d.chance("other", 4) {
			v[name] = d.near(sub, root, depth-1)
		}
	}
	return v
}

func (d drawing) nearList(s, root object, depth int) any {
	v := []any{}
	prefix, _ := s["prefixItems"].([]any)
	for i := range d.small("items") {
		sub := s["items"]
		if i < len(prefix) {
			sub = prefix[i]
		}
		v = append(v, d.near(sub, root, depth-1))
	}
	return v
}

// changed is a copy of a schema in which one place is another.
func (d drawing) changed(schema any, depth int) any {
	s, several := schema.(object)
	if !several {
		return d.schema(1)
	}
	if len(s) == 0 || d.chance("here", 4) {
		return d.edited(s)
	}
	key := rapid.SampledFrom(slices.Sorted(maps.Keys(s))).Draw(d.t, "key")
	next := maps.Clone(s)
	switch sub := s[key].(type) {
	case bool:
		next[key] = !sub
	case int:
		next[key] = d.small("count")
	case []any:
		if key != "allOf" && key != "anyOf" && key != "oneOf" && key != "prefixItems" {
			return d.edited(s)
		}
		list := slices.Clone(sub)
		i := rapid.IntRange(0, len(sub)-1).Draw(d.t, "i")
		list[i] = d.changed(sub[i], depth-1)
		next[key] = list
	case object:
		switch key {
		case "properties", "patternProperties", "dependentSchemas", "$defs":
			next[key] = d.changedMap(sub, key == "properties", depth)
		case "const", "dependentRequired":
			return d.edited(s)
		default:
			next[key] = d.changed(sub, depth-1)
		}
	default:
		return d.edited(s)
	}
	return next
}

func (d drawing) changedMap(subs object, names bool, depth int) object {
	next := maps.Clone(subs)
	if names && d.chance("one more", 3) {
		next[d.name()] = d.schema(1)
		return next
	}
	if len(subs) > 0 {
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(subs))).Draw(d.t, "of")
		next[name] = d.changed(subs[name], depth-1)
	}
	return next
}

// edited is a schema with a keyword more or less.
func (d drawing) edited(s object) object {
	next := maps.Clone(s)
	if len(s) > 0 && d.chance("less", 2) {
		if key := rapid.SampledFrom(slices.Sorted(maps.Keys(s))).Draw(d.t, "key"); key != "$defs" {
			delete(next, key)
		}
		return next
	}
	maps.Copy(next, d.object(1))
	return next
}

// text is JSON.
func text(t rapid.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// validator is the oracle's, or nil of what is none of its schemas.
func validator(t rapid.TB, schema string) *oracle.Schema {
	t.Helper()
	doc, err := oracle.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		return nil
	}
	c := oracle.NewCompiler()
	c.UseLoader(oracle.SchemeURLLoader{}) // of nothing
	c.AssertFormat()
	if err := c.AddResource("https://example.com/schema.json", doc); err != nil {
		return nil
	}
	s, err := c.Compile("https://example.com/schema.json")
	if err != nil {
		return nil
	}
	return s
}
