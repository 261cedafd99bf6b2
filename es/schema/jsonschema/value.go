package jsonschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// value is a piece of a JSON text. It knows its place in it.
type value struct {
	kind   mask // one bit; tInt|tFraction for a number
	truth  bool
	text   string // of a string, or of a number
	list   []*value
	fields map[string]*value
	names  []string // of the fields, sorted

	above *value
	token string // its name or number in what is above

	same string // canonical, once it was asked for
}

// Bounds of what is read: a text beyond them was made to break its reader.
const (
	deepest       = 1_000 // levels of a text
	longestNumber = 1_000 // characters
	mostExponent  = 400
	longestURI    = 1_000
)

// errorf is an error at the value's place.
func (v *value) errorf(format string, args ...any) error {
	return fmt.Errorf("at "+strings.ReplaceAll(v.pointer(), "%", "%%")+": "+format, args...)
}

// pointer is the place of a value, as references have it. The middle of a long one is left out.
func (v *value) pointer() string {
	var tokens []string
	for ; v.above != nil; v = v.above {
		tokens = append(tokens, short(v.token))
	}
	slices.Reverse(tokens)
	if n := len(tokens); n > 20 {
		tokens = slices.Concat(tokens[:10], []string{"…"}, tokens[n-10:])
	}
	return strings.Join(append([]string{"#"}, tokens...), "/")
}

// short is a text that can stand in a message.
func short(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

func read(text string) (*value, error) {
	var all json.RawMessage
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	tokens := json.NewDecoder(bytes.NewReader(all))
	tokens.UseNumber()
	return readValue(tokens, nil, "", 0)
}

func readValue(tokens *json.Decoder, above *value, token string, depth int) (*value, error) {
	next, err := tokens.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	v := &value{above: above, token: token}
	if depth > deepest {
		return nil, v.errorf("it is nested deeper than %d levels: name parts of it in $defs", deepest)
	}
	switch next := next.(type) {
	case nil:
		v.kind = tNull
	case bool:
		v.kind, v.truth = tBoolean, next
	case string:
		v.kind, v.text = tString, next
	case json.Number:
		v.kind, v.text = tNumber, next.String()
		err = v.checkNumber()
	case json.Delim:
		if next == '[' {
			return v, v.readList(tokens, depth+1)
		}
		return v, v.readObject(tokens, depth+1)
	}
	return v, err
}

func (v *value) readList(tokens *json.Decoder, depth int) error {
	v.kind = tArray
	for tokens.More() {
		item, err := readValue(tokens, v, strconv.Itoa(len(v.list)), depth)
		if err != nil {
			return err
		}
		v.list = append(v.list, item)
	}
	_, err := tokens.Token()
	return err
}

func (v *value) readObject(tokens *json.Decoder, depth int) error {
	v.kind, v.fields = tObject, map[string]*value{}
	for tokens.More() {
		next, err := tokens.Token()
		if err != nil {
			return err
		}
		name, _ := next.(string)
		if _, twice := v.fields[name]; twice {
			return v.errorf("%q stands there twice: leave one", short(name))
		}
		if v.fields[name], err = readValue(tokens, v, name, depth); err != nil {
			return err
		}
		v.names = append(v.names, name)
	}
	slices.Sort(v.names)
	_, err := tokens.Token()
	return err
}

// checkNumber refuses a number that would take gigabytes to write out.
func (v *value) checkNumber() error {
	if outOfRange(v.text) {
		return v.errorf("the number %s is out of range", short(v.text))
	}
	return nil
}

func (v *value) number() *big.Rat {
	n, ok := new(big.Rat).SetString(v.text)
	if !ok { // JSON's numbers are all read
		return new(big.Rat)
	}
	return n
}

// types is the value's type: of a number, which of the two kinds it is.
func (v *value) types() mask {
	if v.kind != tNumber {
		return v.kind
	}
	if v.number().IsInt() {
		return tInteger
	}
	return tFraction
}

// canonical is a text that equal values have in common.
func (v *value) canonical() string {
	if v.same == "" {
		var b strings.Builder
		v.write(&b)
		v.same = b.String()
	}
	return v.same
}

func (v *value) write(b *strings.Builder) {
	switch v.kind {
	case tNull:
		b.WriteString("null")
	case tBoolean:
		b.WriteString(strconv.FormatBool(v.truth))
	case tString:
		b.WriteString(strconv.Quote(v.text))
	case tArray:
		b.WriteByte('[')
		for _, item := range v.list {
			item.write(b)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case tObject:
		b.WriteByte('{')
		for _, name := range v.names {
			b.WriteString(strconv.Quote(name) + ":")
			v.fields[name].write(b)
			b.WriteByte(',')
		}
		b.WriteByte('}')
	default:
		b.WriteString(v.number().RatString())
	}
}

// shown is a value as a message has it.
func (v *value) shown() string {
	if v.kind == tString || v.kind == tNumber {
		return short(v.text)
	}
	return short(v.canonical())
}
