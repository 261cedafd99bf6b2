package table

import (
	"errors"
	"strings"

	"github.com/asof-dev/asof/internal/pg"
)

// Refused reports that the database, or the driver before it, did not take a value.
func Refused(err error) bool {
	_, encoding := errors.AsType[valueError](err)
	switch code := pg.Code(err); {
	case encoding:
		return true
	case code != "":
		class := code[:2]
		return class == "22" || class == "23" || class == "54" || code == "P0001" // data, constraints, limits, what a trigger raises
	case err == nil:
		return false
	default:
		return strings.Contains(err.Error(), "failed to encode")
	}
}

// valueError is a value that the driver cannot write into a column.
type valueError struct{ error }

func (e valueError) Unwrap() error { return e.error }

// keyError is an error of a statement to which keys were given, and no values.
type keyError struct{ error }

func (e keyError) Unwrap() error { return e.error }

// NotAKey reports that the database did not take a text as a key.
func NotAKey(err error) bool {
	_, key := errors.AsType[keyError](err)
	return key && Refused(err)
}
