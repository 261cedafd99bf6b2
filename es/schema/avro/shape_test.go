package avro_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"pgregory.net/rapid"
)

// shape is a schema that is drawn, and from which data are.
type shape struct {
	kind, name, logical string
	aliases             []string
	fields              []shapeField
	items               *shape
	branches            []*shape
	symbols             []string
	enumDefault         bool
	size, precision     int
}

type shapeField struct {
	name       string
	aliases    []string
	hasDefault bool // of an int or a string
	of         *shape
}

// shapes draws shapes; names are of one alone.
type shapes struct {
	*rapid.T
	names int
}

func (r *shapes) name(prefix string) string {
	r.names++
	return fmt.Sprintf("%s%d", prefix, r.names)
}

func (r *shapes) odds(label string, n int) bool { return rapid.IntRange(1, n).Draw(r.T, label) == 1 }

func (r *shapes) root() *shape {
	return &shape{kind: "record", name: "s.Root", fields: r.fields(2)}
}

func (r *shapes) fields(deeper int) (list []shapeField) {
	for range rapid.IntRange(1, 4).Draw(r.T, "fields") {
		list = append(list, shapeField{name: r.name("f"), of: r.shape(deeper)})
	}
	return list
}

var simple = []string{"boolean", "int", "long", "float", "double", "string", "bytes", "date", "timestamp-millis", "timestamp-micros", "uuid", "decimal"}

func (r *shapes) shape(deeper int) *shape {
	kinds := slices.Concat(simple, []string{"enum", "fixed"})
	if deeper > 0 {
		kinds = append(kinds, "record", "array", "map", "union", "root")
	}
	return r.of(rapid.SampledFrom(kinds).Draw(r.T, "kind"), deeper)
}

func (r *shapes) of(kind string, deeper int) *shape {
	s := &shape{kind: kind}
	switch kind {
	case "date":
		s.kind, s.logical = "int", kind
	case "timestamp-millis", "timestamp-micros":
		s.kind, s.logical = "long", kind
	case "uuid":
		s.kind, s.logical = "string", kind
	case "decimal":
		s.kind, s.logical, s.precision = "bytes", kind, rapid.IntRange(4, 6).Draw(r.T, "precision")
	case "enum":
		s.name, s.symbols = r.name("s.E"), []string{"A", "B", "C"}
	case "fixed":
		s.name, s.size = r.name("s.F"), rapid.IntRange(1, 3).Draw(r.T, "size")
	case "record":
		s.name, s.fields = r.name("s.R"), r.fields(deeper-1)
	case "array", "map":
		s.items = r.shape(deeper - 1)
	case "root":
		s.kind, s.branches = "union", []*shape{{kind: "null"}, {kind: "s.Root"}}
	case "union":
		for range rapid.IntRange(1, 3).Draw(r.T, "branches") {
			s.add(r.shape(0))
		}
		s.add(&shape{kind: "null"})
	}
	return s
}

// add adds a branch that a union may have.
func (s *shape) add(branch *shape) {
	for _, b := range s.branches {
		if b.kind == branch.kind && b.name == branch.name {
			return
		}
	}
	s.branches = append(s.branches, branch)
}

// evolved is a shape with a few changes.
func (r *shapes) evolved(s *shape) *shape {
	c := *s
	c.fields, c.branches = nil, nil
	for _, f := range s.fields {
		r.field(&c, f)
	}
	if s.items != nil {
		c.items = r.evolved(s.items)
	}
	for _, b := range s.branches {
		if next := r.evolved(b); next.kind != "union" {
			c.add(next)
		}
	}
	if s.kind == "union" && len(c.branches) == 0 {
		c.add(&shape{kind: "boolean"})
	}
	if s.name == "s.Root" || s.kind == "s.Root" || s.kind == "null" || !r.odds("change", 6) {
		return &c
	}
	return r.changed(&c)
}

func (r *shapes) field(to *shape, f shapeField) {
	f.of = r.evolved(f.of)
	switch rapid.IntRange(0, 12).Draw(r.T, "field") {
	case 0: // left out
		return
	case 1:
		f.name = r.name("g")
	case 2:
		f.name, f.aliases = r.name("g"), []string{f.name}
	case 3:
		to.fields = append(to.fields, shapeField{name: r.name("new"), of: r.shape(0)})
	case 4:
		to.fields = append(to.fields, shapeField{name: r.name("new"), hasDefault: true, of: &shape{kind: "int"}})
	}
	to.fields = append(to.fields, f)
}

func (r *shapes) changed(s *shape) *shape {
	switch change := rapid.IntRange(0, 5).Draw(r.T, "change to"); {
	case change == 0 && s.kind != "union":
		return &shape{kind: "union", branches: []*shape{{kind: "null"}, s}}
	case change == 1 && s.kind == "union":
		return s.branches[0]
	case change == 2 && s.kind == "union" && len(s.branches) > 1 && !s.hasRoot(): // a root without end is no data
		s.branches = s.branches[1:]
		return s
	case change <= 2:
		return r.wider(s)
	case change <= 4 && s.name != "":
		return r.renamed(s)
	}
	return r.shape(0)
}

func (s *shape) hasRoot() bool {
	return slices.ContainsFunc(s.branches, func(b *shape) bool { return b.kind == "s.Root" })
}

func (r *shapes) wider(s *shape) *shape {
	switch s.kind {
	case "int":
		return &shape{kind: rapid.SampledFrom([]string{"long", "float", "double"}).Draw(r.T, "wider")}
	case "long":
		return &shape{kind: rapid.SampledFrom([]string{"float", "double", "int"}).Draw(r.T, "wider")}
	case "string", "bytes":
		return &shape{kind: rapid.SampledFrom([]string{"string", "bytes"}).Draw(r.T, "wider")}
	case "enum":
		s.symbols = rapid.SampledFrom([][]string{{"A", "B"}, {"C", "B", "A"}, {"X", "A", "B", "C"}}).Draw(r.T, "symbols")
		s.enumDefault = rapid.Bool().Draw(r.T, "default")
	case "fixed":
		s.size++
	}
	return s
}

func (r *shapes) renamed(s *shape) *shape {
	if rapid.Bool().Draw(r.T, "alias") {
		s.aliases = []string{s.name}
	}
	s.name = rapid.SampledFrom([]string{"o.", "s.New", "o.New"}).Draw(r.T, "to") + s.name[2:]
	return s
}

// orNull is whether the field of a name is of a union of null and another type.
func (s *shape) orNull(name string) bool {
	for _, f := range s.fields {
		if f.name == name && len(f.of.branches) == 2 && f.of.branches[0].kind == "null" || f.of.orNull(name) {
			return true
		}
	}
	return s.items != nil && s.items.orNull(name) || slices.ContainsFunc(s.branches, func(b *shape) bool { return b.orNull(name) })
}

// text is the shape as a schema.
func (s *shape) text() string {
	text, err := json.Marshal(s.tree())
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (s *shape) tree() any {
	if s.kind == "union" {
		list := []any{}
		for _, b := range s.branches {
			list = append(list, b.tree())
		}
		return list
	}
	if s.kind == "s.Root" {
		return s.kind
	}
	m := map[string]any{"type": s.kind}
	if s.logical != "" {
		m["logicalType"] = s.logical
	}
	if s.logical == "decimal" {
		m["precision"] = s.precision
	}
	if s.name != "" {
		m["name"], m["aliases"] = s.name, s.aliases
		if s.aliases == nil {
			delete(m, "aliases")
		}
	}
	switch s.kind {
	case "record":
		list := []any{}
		for _, f := range s.fields {
			list = append(list, f.tree())
		}
		m["fields"] = list
	case "array":
		m["items"] = s.items.tree()
	case "map":
		m["values"] = s.items.tree()
	case "enum":
		m["symbols"] = s.symbols
		if s.enumDefault {
			m["default"] = s.symbols[0]
		}
	case "fixed":
		m["size"] = s.size
	}
	return m
}

func (f shapeField) tree() any {
	m := map[string]any{"name": f.name, "type": f.of.tree()}
	if f.aliases != nil {
		m["aliases"] = f.aliases
	}
	if f.hasDefault {
		m["default"] = 7
	}
	return m
}

// data draws what the shape writes, in Avro's binary encoding.
func (s *shape) data(r *rapid.T, root *shape, deeper int, to []byte) []byte {
	switch s.kind {
	case "boolean":
		return append(to, byte(rapid.IntRange(0, 1).Draw(r, "boolean")))
	case "int":
		return binary.AppendVarint(to, int64(rapid.Int32().Draw(r, "int")))
	case "long":
		return binary.AppendVarint(to, rapid.Int64().Draw(r, "long"))
	case "float":
		return binary.LittleEndian.AppendUint32(to, rapid.Uint32().Draw(r, "float"))
	case "double":
		return binary.LittleEndian.AppendUint64(to, rapid.Uint64().Draw(r, "double"))
	case "string", "bytes":
		text := s.content(r)
		return append(binary.AppendVarint(to, int64(len(text))), text...)
	case "fixed":
		return append(to, rapid.SliceOfN(rapid.Byte(), s.size, s.size).Draw(r, "fixed")...)
	case "enum":
		return binary.AppendVarint(to, int64(rapid.IntRange(0, len(s.symbols)-1).Draw(r, "symbol")))
	case "s.Root":
		return root.data(r, root, deeper-1, to)
	case "record":
		for _, f := range s.fields {
			to = f.of.data(r, root, deeper, to)
		}
	case "array", "map":
		return s.blocks(r, root, deeper, to)
	case "union":
		return s.branch(r, root, deeper, to)
	}
	return to
}

func (s *shape) content(r *rapid.T) []byte {
	switch {
	case s.logical == "uuid":
		return []byte("0192f0c1-2345-7abc-8def-0123456789ab")
	case s.logical == "decimal":
		return rapid.SliceOfN(rapid.Byte(), 1, 1).Draw(r, "decimal")
	case s.kind == "bytes":
		return rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(r, "bytes")
	}
	return []byte(rapid.StringN(0, 5, 10).Draw(r, "string"))
}

func (s *shape) blocks(r *rapid.T, root *shape, deeper int, to []byte) []byte {
	n := rapid.IntRange(0, 2).Draw(r, "items")
	if deeper <= 0 {
		n = 0
	}
	if n > 0 {
		to = binary.AppendVarint(to, int64(n))
	}
	for i := range n {
		if s.kind == "map" {
			to = append(to, 2, byte('a'+i))
		}
		to = s.items.data(r, root, deeper-1, to)
	}
	return append(to, 0)
}

func (s *shape) branch(r *rapid.T, root *shape, deeper int, to []byte) []byte {
	i := rapid.IntRange(0, len(s.branches)-1).Draw(r, "branch")
	if null := slices.IndexFunc(s.branches, func(b *shape) bool { return b.kind == "null" }); deeper <= 0 && null >= 0 {
		i = null
	}
	return s.branches[i].data(r, root, deeper, binary.AppendVarint(to, int64(i)))
}
