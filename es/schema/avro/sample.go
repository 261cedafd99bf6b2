package avro

import "encoding/binary"

// mostSample bounds a sample, in types; mostRounds how many there are of a schema.
const (
	mostSample = 100_000
	mostRounds = 64
)

// rounds is how many samples show each branch of each union and each symbol once.
func rounds(n *node, seen map[*node]bool) int {
	if seen[n] {
		return 1
	}
	seen[n] = true
	most := max(1, len(n.branches), len(n.symbols))
	below := n.branches
	if n.items != nil {
		below = append(below, n.items)
	}
	for _, f := range n.fields {
		below = append(below, f.of)
	}
	for _, child := range below {
		most = max(most, rounds(child, seen))
	}
	return min(most, mostRounds)
}

// sample is a value of a schema, as it is written. Each round takes another branch of unions.
type sample struct {
	bytes []byte
	round int
	path  map[*node]bool // records that stand around
	left  int
}

func (s *sample) add(n *node) {
	if s.left--; s.left < 0 {
		return
	}
	switch n.kind {
	case "boolean":
		s.bytes = append(s.bytes, 1)
	case "int", "long":
		s.long(1)
	case "float":
		s.bytes = append(s.bytes, 0, 0, 0x80, 0x3f)
	case "double":
		s.bytes = append(s.bytes, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f)
	case "bytes", "string":
		s.text(n)
	case "fixed":
		s.bytes = append(s.bytes, make([]byte, n.size)...)
	case "enum":
		s.long(s.round % len(n.symbols))
	case "array", "map":
		s.items(n)
	case "union":
		branch := s.branch(n)
		s.long(branch)
		s.add(n.branches[branch])
	case "record":
		s.path[n] = true
		for _, f := range n.fields {
			s.add(f.of)
		}
		delete(s.path, n)
	}
}

func (s *sample) long(n int) { s.bytes = binary.AppendVarint(s.bytes, int64(n)) }

func (s *sample) text(n *node) {
	text := "1"
	switch n.logical.name {
	case "uuid":
		text = "00000000-0000-4000-8000-000000000001"
	case "big-decimal": // a number of one byte, and its scale
		text = "\x02\x01\x00"
	}
	s.long(len(text))
	s.bytes = append(s.bytes, text...)
}

// items are one, or none of what the sample is within already: that would have no end.
func (s *sample) items(n *node) {
	if !s.endless(n.items) {
		s.long(1)
		if n.kind == "map" {
			s.text(&node{})
		}
		s.add(n.items)
	}
	s.long(0)
}

// branch is that of the round, or the next that has an end.
func (s *sample) branch(n *node) int {
	for i := range n.branches {
		if branch := (s.round + i) % len(n.branches); !s.endless(n.branches[branch]) {
			return branch
		}
	}
	return 0
}

// endless reports a record that the sample is within.
func (s *sample) endless(n *node) bool { return n.kind == "record" && s.path[n] }
