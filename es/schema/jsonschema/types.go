package jsonschema

import "strings"

// mask is a set of types. Numbers are two: those that are integers, and the rest.
type mask uint8

const (
	tNull mask = 1 << iota
	tBoolean
	tInteger
	tFraction
	tString
	tArray
	tObject

	tNumber = tInteger | tFraction
	tAny    = tNull | tBoolean | tNumber | tString | tArray | tObject
)

func typeNamed(name string) (mask, bool) {
	switch name {
	case "null":
		return tNull, true
	case "boolean":
		return tBoolean, true
	case "integer":
		return tInteger, true
	case "number":
		return tNumber, true
	case "string":
		return tString, true
	case "array":
		return tArray, true
	case "object":
		return tObject, true
	}
	return 0, false
}

// each is the types of a set, one by one.
func (m mask) each() (list []mask) {
	for bit := tNull; bit <= tObject; bit <<= 1 {
		if m&bit != 0 {
			list = append(list, bit)
		}
	}
	return list
}

func (m mask) String() string {
	if m == tAny {
		return "anything"
	}
	if m == 0 {
		return "nothing"
	}
	var names []string
	for _, name := range []string{"object", "array", "string", "number", "boolean", "null"} {
		t, _ := typeNamed(name)
		switch m & t {
		case t:
			names = append(names, name)
		case tInteger:
			names = append(names, "integer")
		case tFraction:
			names = append(names, "number with a fraction")
		default:
		}
	}
	return strings.Join(names, " or ")
}
