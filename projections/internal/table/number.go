package table

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// A numeric column keeps every digit, or rounds to those that its scale has.

// scale is how many digits stand behind the point; of a negative one, how many before it
// are zeros.
func (k kind) scale() int { return int((k.modifier-4)&0x7ff^1024) - 1024 }

// number writes a number as the column does.
func (k kind) number() made {
	if k.modifier < 0 {
		return func(text []byte) ([]byte, error) { return writeNumber(text, nil) }
	}
	scale := k.scale()
	return func(text []byte) ([]byte, error) { return writeNumber(text, &scale) }
}

// keptNumber reports a number that is as the column gives it back.
func (k kind) keptNumber(v reflect.Value) bool {
	n := v.Addr().Interface().(*pgtype.Numeric) //nolint:forcetypeassert // of such a field
	if !n.Valid || n.NaN || n.InfinityModifier != pgtype.Finite || n.Int == nil || n.Exp >= 0 {
		return false
	}
	return k.modifier < 0 && n.Int.Sign() != 0 || k.modifier >= 0 && int(n.Exp) == -k.scale()
}

// What the database can hold of a number.
const (
	mostBefore = 131_072 // digits before the point
	mostBehind = 16_383
)

var errNumber = errors.New("it is no number that numeric can hold")

// decimal is a number: digits, of which some stand before the point. It may be before all
// of them, or after.
type decimal struct {
	negative bool
	digits   []byte
	point    int
	behind   int // digits behind the point, as they were written
}

// writeNumber rounds a number to a scale, if there is one, and writes it as the database
// does. Of zero without a scale it keeps no digits behind the point, as the driver does.
func writeNumber(text []byte, scale *int) ([]byte, error) {
	text = bytes.TrimSpace(text)
	switch word := strings.ToLower(strings.TrimLeft(string(text), "+-")); word {
	case "nan":
		return []byte("NaN"), nil
	case "inf", "infinity":
		if text[0] == '-' {
			return []byte("-Infinity"), nil
		}
		return []byte("Infinity"), nil
	}
	d, err := parseNumber(text)
	if err != nil {
		return nil, err
	}
	if scale != nil {
		d.round(*scale)
	}
	return d.append(nil, scale), nil
}

func parseNumber(text []byte) (d decimal, err error) {
	mantissa, exponent := text, 0
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		mantissa = text[:i]
		if exponent, err = strconv.Atoi(string(text[i+1:])); err != nil || exponent > 2*mostBefore || exponent < -2*mostBefore {
			return d, fmt.Errorf("%w: %.40q", errNumber, text)
		}
	}
	if len(mantissa) > 0 && (mantissa[0] == '-' || mantissa[0] == '+') {
		d.negative, mantissa = mantissa[0] == '-', mantissa[1:]
	}
	before, behind, _ := bytes.Cut(mantissa, []byte("."))
	d.digits = append(append(make([]byte, 0, len(mantissa)+1), before...), behind...)
	if len(d.digits) == 0 || len(bytes.Trim(d.digits, "0123456789")) > 0 {
		return d, fmt.Errorf("%w: %.40q", errNumber, text)
	}
	d.point, d.behind = len(before)+exponent, max(0, len(behind)-exponent)
	zeros := len(d.digits) - len(bytes.TrimLeft(d.digits, "0"))
	d.digits, d.point = d.digits[zeros:], d.point-zeros
	if len(d.digits) > 0 && d.point > mostBefore || d.behind > mostBehind {
		return d, fmt.Errorf("%w: %.40q", errNumber, text)
	}
	return d, nil
}

// round keeps digits up to a scale; from the middle it rounds away from zero.
func (d *decimal) round(scale int) {
	keep := d.point + scale
	if keep >= len(d.digits) {
		return
	}
	if keep < 0 {
		d.digits = nil
		return
	}
	up := d.digits[keep] >= '5'
	d.digits = d.digits[:keep]
	if !up {
		return
	}
	for i := keep - 1; i >= 0; i-- {
		if d.digits[i] != '9' {
			d.digits[i]++
			return
		}
		d.digits[i] = '0'
	}
	d.digits = append([]byte{'1'}, d.digits...)
	d.point++
}

// append writes the number, with so many digits behind the point as it was written with or
// as a scale says.
func (d *decimal) append(text []byte, scale *int) []byte {
	behind := d.behind
	if scale != nil {
		behind = max(*scale, 0)
	}
	if len(bytes.Trim(d.digits, "0")) == 0 {
		d.negative, d.digits, d.point = false, nil, 0
		if scale == nil {
			behind = 0
		}
	}
	if d.negative {
		text = append(text, '-')
	}
	if d.point <= 0 {
		text = append(text, '0')
	}
	for i := range max(d.point, 0) {
		text = append(text, d.digit(i))
	}
	if behind > 0 {
		text = append(text, '.')
	}
	for i := range behind {
		text = append(text, d.digit(d.point+i))
	}
	return text
}

// digit is the one at a place from the first; beyond them there are zeros.
func (d *decimal) digit(at int) byte {
	if at < 0 || at >= len(d.digits) {
		return '0'
	}
	return d.digits[at]
}
