package jsonschema

import "math/big"

// node is a schema within a text, read. What is nil or empty it does not say.
type node struct {
	id    int // in its graph
	class int // equal for schemas that say the same: see graph.classify
	local []byte
	subs  []*node // those below, in an order that local names

	never  bool   // it is false
	opaque string // a keyword whose meaning depends on how the schema was reached
	types  mask   // as declared, or tAny
	could  mask   // what remains of types by what else it says

	enum, constant []*value // each nil when it is not said
	only           *value   // the one value, of a schema that was made for it

	minimum, maximum *limit
	multipleOf       *big.Rat
	counts           [counts]*big.Rat // by quantity
	pattern, format  *string
	asserts          bool // formats are not only notes in its draft

	ref                  *node
	allOf, anyOf, oneOf  []*node
	not, cond, then, els *node

	properties, patterns   map[string]*node
	additional, closing    *node // additionalProperties, unevaluatedProperties
	names                  *node
	required               []string
	dependentRequired      map[string][]string
	dependentSchemas       map[string]*node
	prefix                 []*node
	rest, unevaluatedItems *node // items or additionalItems
	unique                 bool
	hasDefault             bool
	contains               *node
	minContains            *big.Rat
	maxContains            *big.Rat
}

// limit is a least or a greatest number.
type limit struct {
	at   *big.Rat
	open bool // the number itself is not in it
}

// applies tells whether other schemas speak about the same value.
func (n *node) applies() bool {
	return n.ref != nil || len(n.allOf)+len(n.anyOf)+len(n.oneOf) > 0 ||
		n.not != nil || n.cond != nil || len(n.dependentSchemas) > 0 || n.opaque != ""
}

// leads tells that a reference is all that it is.
func (n *node) leads() bool { return n.ref != nil && string(n.local) == refLabel }

// refLabel is what a reference is in local.
const refLabel = "$ref;"

// graph is the schemas of both texts.
type graph struct {
	nodes   []*node
	byPlace map[*value]*node
}

func (g *graph) add() *node {
	n := &node{id: len(g.nodes), types: tAny, could: tAny}
	g.nodes = append(g.nodes, n)
	return n
}
