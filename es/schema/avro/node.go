package avro

import (
	"slices"
	"strings"

	"github.com/twmb/avro"
)

// node is a type of a schema. A name stands for what it names, so nodes may go in a circle.
type node struct {
	kind     string // int, record, …
	fullName string // of a record, enum or fixed
	aliases  []string
	fields   []field // of a record
	branches []*node // of a union
	items    *node   // of an array, and the values of a map
	symbols  []string
	size     int
	// hasDefault is whether an enum has a symbol for those that it does not know.
	hasDefault bool
	logical    logical
}

type field struct {
	name       string
	aliases    []string
	hasDefault bool
	of         *node
}

// tree are the named types of a schema that is being built, by full name.
type tree map[string]*node

func newTree(root *avro.SchemaNode) *node {
	t := tree{}
	t.collect(root)
	return t.node(root, "")
}

// collect makes room for each named type, since a name may stand before what it names.
func (t tree) collect(n *avro.SchemaNode) {
	switch n.Type {
	case "record", "error", "enum", "fixed":
		t[fullName(n.Name, n.Namespace)] = &node{}
	}
	for _, child := range children(n) {
		t.collect(child)
	}
}

// children are the types within one, by its kind: an attribute of another kind says nothing.
func children(n *avro.SchemaNode) (list []*avro.SchemaNode) {
	switch n.Type {
	case "record", "error":
		for i := range n.Fields {
			list = append(list, &n.Fields[i].Type)
		}
	case "array":
		list = append(list, n.Items)
	case "map":
		list = append(list, n.Values)
	case "union":
		for i := range n.Branches {
			list = append(list, &n.Branches[i])
		}
	}
	return list
}

// node makes a type of what was parsed, within a namespace.
func (t tree) node(n *avro.SchemaNode, namespace string) *node {
	made := &node{kind: n.Type, logical: logicalOf(n), symbols: n.Symbols, size: n.Size, hasDefault: n.HasEnumDefault}
	switch n.Type {
	case "record", "error", "enum", "fixed":
		named := t[fullName(n.Name, n.Namespace)]
		*named = *made
		return t.define(named, n)
	case "array":
		made.items = t.node(n.Items, namespace)
	case "map":
		made.items = t.node(n.Values, namespace)
	case "union":
		for i := range n.Branches {
			made.branches = append(made.branches, t.node(&n.Branches[i], namespace))
		}
	case "null", "boolean", "int", "long", "float", "double", "bytes", "string":
	default:
		return t.named(n.Type, namespace)
	}
	return made
}

// define adds what a named type has besides.
func (t tree) define(made *node, n *avro.SchemaNode) *node {
	made.fullName = fullName(n.Name, n.Namespace)
	namespace, _ := split(made.fullName)
	for _, alias := range n.Aliases {
		made.aliases = append(made.aliases, fullName(alias, namespace))
	}
	if n.Type == "error" { // a record by another word
		made.kind = "record"
	}
	if made.kind != "record" {
		return made
	}
	for i := range n.Fields {
		f := &n.Fields[i]
		made.fields = append(made.fields, field{f.Name, f.Aliases, f.HasDefault, t.node(lifted(f), namespace)})
	}
	return made
}

// named is what a name stands for: that of the namespace first.
func (t tree) named(name, namespace string) *node {
	if n, found := t[fullName(name, namespace)]; found {
		return n
	}
	return t[strings.TrimPrefix(name, ".")]
}

func fullName(name, namespace string) string {
	if namespace == "" || strings.Contains(name, ".") {
		return strings.TrimPrefix(name, ".")
	}
	return namespace + "." + name
}

// split parts a full name into its namespace and the rest.
func split(fullName string) (namespace, name string) {
	dot := strings.LastIndexByte(fullName, '.')
	return fullName[:max(dot, 0)], fullName[dot+1:]
}

// isNamed is whether the reader's type has the name of the writer's, or had it.
func (n *node) isNamed(w *node) bool {
	return n.fullName == w.fullName || slices.Contains(n.aliases, w.fullName)
}

func (n *node) shortName() string {
	_, name := split(n.fullName)
	return name
}
