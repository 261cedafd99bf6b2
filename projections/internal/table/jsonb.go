package table

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// A column of type jsonb keeps what a text says, and not the text: keys are sorted and
// come once, numbers are written out, and there is a space behind each comma and colon.

// jsonb writes a text as a column of type jsonb gives it back.
func jsonb(text []byte) ([]byte, error) {
	value, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	return appendJSON(make([]byte, 0, len(text)+len(text)/4), value)
}

func parseJSON(text []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("it is no JSON: something comes after the value")
	}
	return value, nil
}

func appendJSON(text []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(text, "null"...), nil
	case bool:
		return fmt.Append(text, v), nil
	case json.Number:
		return appendNumber(text, v)
	case string:
		return appendString(text, v)
	case []any:
		return appendArray(text, v)
	default:
		return appendObject(text, v.(map[string]any)) //nolint:forcetypeassert // the decoder gives nothing else
	}
}

// appendNumber writes a number with the digits behind the point that it came with, also
// where it is zero.
func appendNumber(text []byte, number json.Number) ([]byte, error) {
	d, err := parseNumber([]byte(number))
	if err != nil {
		return nil, err
	}
	return d.append(text, &d.behind), nil
}

func appendString(text []byte, s string) ([]byte, error) {
	if strings.ContainsRune(s, 0) {
		return nil, errors.New(`jsonb cannot hold \u0000`)
	}
	const escaped = "\b\f\n\r\t\"\\"
	text = append(text, '"')
	for i := range len(s) {
		c := s[i]
		switch at := strings.IndexByte(escaped, c); {
		case at >= 0:
			text = append(text, '\\', `bfnrt"\`[at])
		case c < ' ':
			text = fmt.Appendf(text, `\u%04x`, c)
		default:
			text = append(text, c)
		}
	}
	return append(text, '"'), nil
}

func appendArray(text []byte, list []any) (_ []byte, err error) {
	text = append(text, '[')
	for i, value := range list {
		if i > 0 {
			text = append(text, ", "...)
		}
		if text, err = appendJSON(text, value); err != nil {
			return nil, err
		}
	}
	return append(text, ']'), nil
}

// appendObject writes the shorter keys first.
func appendObject(text []byte, object map[string]any) (_ []byte, err error) {
	keys := slices.SortedFunc(maps.Keys(object), func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	text = append(text, '{')
	for i, key := range keys {
		if i > 0 {
			text = append(text, ", "...)
		}
		if text, err = appendString(text, key); err != nil {
			return nil, err
		}
		if text, err = appendJSON(append(text, ": "...), object[key]); err != nil {
			return nil, err
		}
	}
	return append(text, '}'), nil
}
