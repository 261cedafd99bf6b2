package protobuf

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/asof-dev/asof/es/schema"
)

// mostSteps bounds a comparison: schemas of a megabyte by hand take less, those that are made
// to take long take more. A pair of messages is worth pairSteps, so that the stack is bounded
// too.
const (
	mostSteps = 20_000_000
	pairSteps = 200
)

// comparison is a walk through two schemas. A pair that is being looked at, or was, is taken
// to fit: what is wrong with it is told once.
type comparison struct {
	writerIsNewer bool
	problems      []schema.Problem
	seen          map[pair]bool
	met           map[protoreflect.FullName]bool // the older's messages that the newer has the like of
	left          int                            // steps; less than none ends it
}

// pair is the names of two messages, or two enums.
type pair struct{ reader, writer protoreflect.FullName }

func newComparison(writerIsNewer bool) *comparison {
	return &comparison{writerIsNewer: writerIsNewer, seen: map[pair]bool{}, met: map[protoreflect.FullName]bool{}, left: mostSteps}
}

func (c *comparison) problem(at *schema.Place, cure, says string, args ...any) {
	if c.left < 0 {
		return
	}
	path := at.String()
	c.left -= pairSteps + len(path)
	c.problems = append(c.problems, schema.Problem{Path: path, Says: fmt.Sprintf(says, args...), Cure: cure})
}

// enter is whether a pair is to be looked at.
func (c *comparison) enter(reader, writer protoreflect.Descriptor) bool {
	p := pair{reader.FullName(), writer.FullName()}
	c.left -= pairSteps
	if c.left < 0 || c.seen[p] {
		return false
	}
	c.seen[p] = true
	return true
}

// inTime puts two descriptors in the order of their schemas' age.
func inTime[D any](c *comparison, reader, writer D) (older, newer D) {
	if c.writerIsNewer {
		return reader, writer
	}
	return writer, reader
}

func (c *comparison) files(r, w protoreflect.FileDescriptor) {
	reader, writer := r.Messages().Get(0), w.Messages().Get(0)
	if reader.FullName() != writer.FullName() {
		c.problem(nil, "keep the name, and the message the first: consumers find it by that", "became %s (it was %s)", reader.FullName(), writer.FullName())
	}
	c.messages(nil, reader, writer)
	older, newer := inTime(c, r, w)
	c.lost(older.Messages(), newer.Messages())
}

// lost finds the messages that are gone, by their name within the package.
func (c *comparison) lost(older, newer protoreflect.MessageDescriptors) {
	for i := range older.Len() {
		was := older.Get(i)
		is := newer.ByName(was.Name())
		switch {
		case was.IsMapEntry(): // a field's, which is told
		case is != nil:
			c.lost(was.Messages(), is.Messages())
		case !c.met[was.FullName()]:
			c.problem(nil, "keep it", "lost the message %s", within(was))
		}
	}
}

// within is a descriptor's name within its package.
func within(d protoreflect.Descriptor) string {
	return strings.TrimPrefix(string(d.FullName()), string(d.ParentFile().Package())+".")
}

// messages finds what of the writer's message the reader's cannot read.
func (c *comparison) messages(at *schema.Place, r, w protoreflect.MessageDescriptor) {
	older, newer := inTime(c, r, w)
	c.met[older.FullName()] = true
	if !c.enter(r, w) {
		return
	}
	if c.left -= r.Fields().Len() + w.Fields().Len(); c.left < 0 {
		return
	}
	for i := range w.Fields().Len() {
		wf := w.Fields().Get(i)
		if rf := r.Fields().ByNumber(wf.Number()); rf != nil {
			c.field(at, rf, wf)
		}
		if rf := r.Fields().ByName(wf.Name()); rf != nil && rf.Number() != wf.Number() {
			c.problem(at.Below(string(wf.Name())), "give it its number again", "has the number %d (it was %d)", rf.Number(), wf.Number())
		}
	}
	c.required(at, r, w)
	c.givenUp(at, older, newer)
	c.oneofs(at, r, w)
}

// required finds fields that the reader cannot do without, and the writer does not have.
func (c *comparison) required(at *schema.Place, r, w protoreflect.MessageDescriptor) {
	for i := range r.Fields().Len() {
		rf := r.Fields().Get(i)
		if rf.Cardinality() == protoreflect.Required && w.Fields().ByNumber(rf.Number()) == nil {
			c.problem(at.Below(string(rf.Name())), "leave it optional", "is required, and was not written")
		}
	}
}

// givenUp finds the fields that the newer message does not have any more, nor has reserved.
func (c *comparison) givenUp(at *schema.Place, older, newer protoreflect.MessageDescriptor) {
	for i := range older.Fields().Len() {
		f := older.Fields().Get(i)
		if newer.Fields().ByNumber(f.Number()) != nil || newer.Fields().ByName(f.Name()) != nil {
			continue
		}
		number, name := newer.ReservedRanges().Has(f.Number()), newer.ReservedNames().Has(f.Name())
		if what := unreserved(int64(f.Number()), number, name); what != "" {
			c.problem(at.Below(string(f.Name())), fmt.Sprintf("reserve %d and %q", f.Number(), f.Name()), "is gone, and %s may be used again", what)
		}
	}
}

// unreserved is what of a number and its name is not reserved.
func unreserved(n int64, number, name bool) string {
	switch {
	case !number && !name:
		return fmt.Sprintf("its number %d and its name", n)
	case !number:
		return fmt.Sprintf("its number %d", n)
	case !name:
		return "its name"
	}
	return ""
}
