package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// sized pads char(n), and cuts spaces off that are too many: more is refused by the
// database.
func (k kind) sized() made {
	if k.modifier < 0 || k.base != "bpchar" && k.base != "varchar" {
		return nil
	}
	length := int(k.modifier) - 4 // four more than what is written
	return func(text []byte) ([]byte, error) {
		n := utf8.RuneCount(text)
		for n > length && text[len(text)-1] == ' ' {
			text, n = text[:len(text)-1], n-1
		}
		if k.base == "bpchar" && n < length {
			text = append(text, bytes.Repeat([]byte{' '}, length-n)...)
		}
		return text, nil
	}
}

func integerText(text []byte) ([]byte, error) {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	return strconv.AppendInt(nil, n, 10), err
}

func uuidText(text []byte) ([]byte, error) {
	id, err := uuid.ParseBytes(text)
	return []byte(id.String()), err
}

// precision is how many digits of a second are kept.
func (k kind) precision() int32 {
	if k.modifier < 0 {
		return 6
	}
	return k.modifier
}

// rounded keeps as many digits of a second as the column has.
func (k kind) rounded() made {
	unit := int64(math.Pow10(6 - int(k.precision())))
	if unit == 1 {
		return nil
	}
	return func(wire []byte) ([]byte, error) {
		n := int64(binary.BigEndian.Uint64(wire))     //nolint:gosec // the bits count
		if n == math.MaxInt64 || n == math.MinInt64 { // infinity
			return wire, nil
		}
		return binary.BigEndian.AppendUint64(nil, uint64(nearest(n, unit))), nil //nolint:gosec // the bits count
	}
}

// nearest rounds to a multiple of a unit, and from the middle away from zero.
func nearest(n, unit int64) int64 {
	if n < 0 {
		return -nearest(-n, unit)
	}
	return (n + unit/2) / unit * unit
}

// roundTime rounds as the database does, which counts from the year 2000.
func (k kind) roundTime(t time.Time) time.Time {
	unit := int64(math.Pow10(6 - int(k.precision())))
	if unit == 1 {
		return t
	}
	const from = 946_684_800_000_000
	return time.UnixMicro(nearest(t.UnixMicro()-from, unit) + from).UTC()
}

// bits have zeros behind their end.
func bits(wire []byte) ([]byte, error) {
	n := binary.BigEndian.Uint32(wire)
	if spare := 8*(len(wire)-4) - int(n); spare > 0 && spare < 8 {
		wire[len(wire)-1] &= 0xff << spare
	}
	return wire, nil
}

// Flags of a range on the wire.
const (
	rangeEmpty = 1 << iota
	lowerIn
	upperIn
	lowerNone
	upperNone
)

// span writes a range as the database does: of whole numbers and days with the lower end in
// and the upper end out, and empty when nothing lies in it.
func (k kind) span(wire []byte) ([]byte, error) {
	flags := wire[0]
	if flags&rangeEmpty != 0 {
		return []byte{rangeEmpty}, nil
	}
	rest := wire[1:]
	var lower, upper int64
	var err error
	if flags&lowerNone == 0 {
		lower, rest, err = end(rest, err)
	}
	if flags&upperNone == 0 {
		upper, _, err = end(rest, err)
	}
	if err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(append(wire[1:], 0, 0, 0, 0))
	return k.bounded(flags, lower, upper, int(size))
}

// end reads an end of a range.
func end(wire []byte, err error) (int64, []byte, error) {
	switch {
	case err != nil:
		return 0, nil, err
	case len(wire) >= 8 && binary.BigEndian.Uint32(wire) == 4:
		return int64(int32(binary.BigEndian.Uint32(wire[4:]))), wire[8:], nil //nolint:gosec // the bits count
	case len(wire) >= 12 && binary.BigEndian.Uint32(wire) == 8:
		return int64(binary.BigEndian.Uint64(wire[4:])), wire[12:], nil //nolint:gosec // the bits count
	default:
		return 0, nil, errors.New("it is no range of whole numbers, days or moments")
	}
}

func (k kind) bounded(flags byte, lower, upper int64, size int) ([]byte, error) {
	hasLower, hasUpper := flags&lowerNone == 0, flags&upperNone == 0
	if hasLower && hasUpper && lower > upper {
		return nil, fmt.Errorf("the range begins at %d and ends before, at %d", lower, upper)
	}
	if k.base == "int4range" || k.base == "int8range" || k.base == "daterange" {
		lower, flags = stepped(lower, flags, hasLower && flags&lowerIn == 0, lowerIn)
		upper, flags = stepped(upper, flags, hasUpper && flags&upperIn != 0, upperIn)
	}
	if hasLower && hasUpper && (lower > upper || lower == upper && flags&(lowerIn|upperIn) != lowerIn|upperIn) {
		return []byte{rangeEmpty}, nil
	}
	if !hasLower {
		flags &^= lowerIn
	}
	if !hasUpper {
		flags &^= upperIn
	}
	wire := []byte{flags}
	if hasLower {
		wire = appendEnd(wire, lower, size)
	}
	if hasUpper {
		wire = appendEnd(wire, upper, size)
	}
	return wire, nil
}

// stepped moves an end by one, which turns whether it is in.
func stepped(at int64, flags byte, moves bool, flag byte) (int64, byte) {
	if !moves {
		return at, flags
	}
	return at + 1, flags ^ flag
}

func appendEnd(wire []byte, at int64, size int) []byte {
	wire = binary.BigEndian.AppendUint32(wire, uint32(size)) //nolint:gosec // 4 or 8
	if size == 4 {
		return binary.BigEndian.AppendUint32(wire, uint32(at)) //nolint:gosec // the bits count
	}
	return binary.BigEndian.AppendUint64(wire, uint64(at)) //nolint:gosec // the bits count
}
