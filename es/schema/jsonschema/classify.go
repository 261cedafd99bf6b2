package jsonschema

import (
	"fmt"
	"strconv"
	"strings"
)

// mostRefinements bounds classify: nodes times rounds.
const mostRefinements = 5_000_000

// classify finds the schemas that say the same: whose own keywords are equal, and those below
// them one by one, along references too. It parts the schemas by what each says itself, then by
// the parts that those below are in, until nothing more comes apart.
func (g *graph) classify() {
	classes := map[string]int{}
	for _, n := range g.nodes {
		if n.opaque != "" {
			n.local = fmt.Append(n.local, n.opaque, n.id)
		}
		n.class = intern(classes, string(n.local))
	}
	for left := mostRefinements; left > 0; left -= len(g.nodes) {
		before := len(classes)
		if classes = g.refine(); len(classes) == before {
			return
		}
	}
	for _, n := range g.nodes { // not settled: each is like itself alone
		n.class = n.id
	}
}

// refine parts the classes by those of the schemas below.
func (g *graph) refine() map[string]int {
	classes := map[string]int{}
	next := make([]int, len(g.nodes))
	for i, n := range g.nodes {
		var key strings.Builder
		key.WriteString(strconv.Itoa(n.class))
		for _, sub := range n.subs {
			key.WriteString("," + strconv.Itoa(sub.class))
		}
		next[i] = intern(classes, key.String())
	}
	for i, n := range g.nodes {
		n.class = next[i]
	}
	return classes
}

func intern(classes map[string]int, key string) int {
	if _, known := classes[key]; !known {
		classes[key] = len(classes)
	}
	return classes[key]
}
