package protobuf

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/asof-dev/asof/es/schema"
)

// enums finds what of the writer's enum the reader's cannot read.
func (c *comparison) enums(at *schema.Place, r, w protoreflect.EnumDescriptor) {
	if !c.enter(r, w) {
		return
	}
	if c.left -= r.Values().Len() + w.Values().Len(); c.left < 0 {
		return
	}
	if r.IsClosed() && !w.IsClosed() {
		c.problem(at, "keep it open", "became closed: numbers that it does not name are not read")
	}
	for i := range w.Values().Len() {
		v := w.Values().Get(i)
		if is := r.Values().ByName(v.Name()); is != nil && is.Number() != v.Number() {
			c.problem(at, "give it its number again", "has the number %d for %s (it was %d)", is.Number(), v.Name(), v.Number())
		} else if r.IsClosed() && r.Values().ByNumber(v.Number()) == nil {
			c.problem(at, "keep it", "lost the value %s: %d is not read", v.Name(), v.Number())
		}
	}
	older, newer := inTime(c, r, w)
	c.valuesGivenUp(at, older, newer)
}

// valuesGivenUp finds the values that the newer enum does not have any more, nor has reserved.
func (c *comparison) valuesGivenUp(at *schema.Place, older, newer protoreflect.EnumDescriptor) {
	for i := range older.Values().Len() {
		v := older.Values().Get(i)
		if newer.Values().ByNumber(v.Number()) != nil || newer.Values().ByName(v.Name()) != nil || newer.IsClosed() && !c.writerIsNewer {
			continue // what is closed and reads is told
		}
		number, name := newer.ReservedRanges().Has(v.Number()), newer.ReservedNames().Has(v.Name())
		if what := unreserved(int64(v.Number()), number, name); what != "" {
			c.problem(at, fmt.Sprintf("reserve %d and %q", v.Number(), v.Name()), "lost the value %s, and %s may be used again", v.Name(), what)
		}
	}
}
