package avro

import (
	"fmt"

	"github.com/twmb/avro"
)

// logical is a logical type; that without a name is none.
type logical struct {
	name             string
	precision, scale int // of a decimal
}

func (l logical) String() string {
	if l.name == "decimal" {
		return fmt.Sprintf("decimal(%d,%d)", l.precision, l.scale)
	}
	return l.name
}

// logicalOf is a type's logical type: none when the specification has no such one, or has it
// of another kind of type.
func logicalOf(n *avro.SchemaNode) logical {
	var of bool
	switch n.LogicalType {
	case "date", "time-millis":
		of = n.Type == "int"
	case "time-micros",
		"timestamp-millis", "timestamp-micros", "timestamp-nanos",
		"local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos":
		of = n.Type == "long"
	case "decimal":
		of = n.Precision > 0 && (n.Type == "bytes" || n.Type == "fixed")
	case "big-decimal":
		of = n.Type == "bytes"
	case "uuid":
		of = n.Type == "string" || n.Type == "fixed" && n.Size == 16
	case "duration":
		of = n.Type == "fixed" && n.Size == 12
	}
	if !of {
		return logical{}
	}
	return logical{n.LogicalType, n.Precision, n.Scale}
}

// anyValue is whether each value of the underlying type is one of the logical type.
func (l logical) anyValue() bool {
	switch l.name {
	case "uuid", "decimal", "big-decimal", "time-millis", "time-micros":
		return false
	}
	return true
}

// lifted is a field's type with the logical type that is written beside it. By the
// specification that says nothing; many write it, and the library takes it for the type's.
func lifted(f *avro.SchemaField) *avro.SchemaNode {
	name, written := f.Props["logicalType"].(string)
	if !written || f.Type.LogicalType != "" {
		return &f.Type
	}
	n := f.Type
	precision, _ := f.Props["precision"].(int64)
	scale, _ := f.Props["scale"].(int64)
	n.LogicalType, n.Precision, n.Scale = name, int(precision), int(scale)
	return &n
}
