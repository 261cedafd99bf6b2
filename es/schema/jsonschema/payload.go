package jsonschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// payload is a JSON text that is read to be checked. It must mean the same to all who read it:
// encoding/json takes the last of two values of a name, or both, and others the first.
type payload struct {
	text  string
	at    int
	depth int
	// errors is how many bytes the validator would take to say of each value that it is wrong.
	errors int
}

// Bytes that the validator takes for an error, and for each token of its place.
const (
	errorSize = 256
	tokenSize = 16
)

var (
	errNoJSON = errors.New("the payload is no JSON")
	errNoUTF8 = errors.New("the payload is not UTF-8")
)

// readPayload reads a payload for the validator: numbers are json.Number, which is exact.
func readPayload(data []byte) (value any, errors int, err error) {
	if !utf8.Valid(data) {
		return nil, 0, errNoUTF8
	}
	if !json.Valid(data) {
		return nil, 0, errNoJSON
	}
	p := payload{text: string(data)}
	value, err = p.value()
	return value, p.errors, err
}

// next is the first character of what comes next. The text is valid, so something comes.
func (p *payload) next() byte {
	for strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	return p.text[p.at]
}

func (p *payload) value() (any, error) {
	p.errors += errorSize + tokenSize*p.depth
	switch p.next() {
	case '{':
		return p.within(func() (any, error) { return p.object() })
	case '[':
		return p.within(func() (any, error) { return p.array() })
	case '"':
		return p.string()
	case 't':
		p.at += len("true")
		return true, nil
	case 'f':
		p.at += len("false")
		return false, nil
	case 'n':
		p.at += len("null")
		return nil, nil
	}
	return p.number()
}

// within reads what has values in it, up to its end.
func (p *payload) within(read func() (any, error)) (any, error) {
	if p.depth == deepest {
		return nil, fmt.Errorf("the payload is nested deeper than %d levels", deepest)
	}
	p.depth++
	p.at++
	v, err := read()
	p.depth--
	p.at++
	return v, err
}

func (p *payload) object() (any, error) {
	fields := map[string]any{}
	for p.next() != '}' {
		if p.text[p.at] == ',' {
			p.at++
			p.next()
		}
		name, err := p.string()
		if err != nil {
			return nil, err
		}
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("the name %q stands twice in an object of the payload", short(name))
		}
		p.next()
		p.at++ // the colon
		if fields[name], err = p.value(); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

func (p *payload) array() (any, error) {
	items := []any{}
	for p.next() != ']' {
		if p.text[p.at] == ',' {
			p.at++
		}
		item, err := p.value()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func (p *payload) string() (string, error) {
	begin, escaped := p.at, false
	for p.at++; p.text[p.at] != '"'; p.at++ {
		if p.text[p.at] == '\\' {
			escaped = true
			p.at++
		}
	}
	p.at++
	if !escaped {
		return p.text[begin+1 : p.at-1], nil
	}
	var s string
	err := json.Unmarshal([]byte(p.text[begin:p.at]), &s)
	return s, err
}

func (p *payload) number() (any, error) {
	begin := p.at
	for p.at < len(p.text) && strings.IndexByte("+-.0123456789eE", p.text[p.at]) >= 0 {
		p.at++
	}
	text := p.text[begin:p.at]
	if outOfRange(text) {
		return nil, fmt.Errorf("a number of %d characters is out of range: at most %d characters and exponents to %d are checked", len(text), longestNumber, mostExponent)
	}
	return json.Number(text), nil
}

// outOfRange tells of a number that it would take gigabytes to write out.
func outOfRange(number string) bool {
	if len(number) > longestNumber {
		return true
	}
	e := strings.IndexAny(number, "eE")
	if e < 0 {
		return false
	}
	n, err := strconv.Atoi(strings.TrimPrefix(number[e+1:], "+"))
	return err != nil || n > mostExponent || n < -mostExponent
}
