package es

import "strings"

// plainMetadata reads what MarshalBinary makes of values that need no escapes, which
// is nearly always, many times faster than encoding/json: decoding it was half the
// work of reading a log. Whatever it does not know in every byte is not ok, and left
// to encoding/json, so both give the same.
func plainMetadata(s string) (m Metadata, ok bool) {
	rest, ok := strings.CutPrefix(s, "{")
	if !ok {
		return Metadata{}, false
	}
	for more := true; more; {
		var key string
		if key, rest, ok = plainKey(rest); !ok {
			return Metadata{}, false
		}
		switch key {
		case "correlation":
			m.CorrelationID, rest, ok = plainString(rest)
		case "causation":
			m.CausationID, rest, ok = plainString(rest)
		case "traceparent":
			m.TraceParent, rest, ok = plainString(rest)
		case "tracestate":
			m.TraceState, rest, ok = plainString(rest)
		case "extra":
			if m.Extra != nil { // encoding/json would merge
				return Metadata{}, false
			}
			m.Extra, rest, ok = plainMap(rest)
		default:
			ok = false
		}
		if !ok {
			return Metadata{}, false
		}
		rest, more = strings.CutPrefix(rest, ",")
	}
	return m, rest == "}"
}

func plainMap(s string) (m map[string]string, rest string, ok bool) {
	if rest, ok = strings.CutPrefix(s, "{"); !ok {
		return nil, rest, false
	}
	m = make(map[string]string)
	for more := true; more; {
		var key string
		if key, rest, ok = plainKey(rest); !ok {
			return nil, rest, false
		}
		if m[key], rest, ok = plainString(rest); !ok {
			return nil, rest, false
		}
		rest, more = strings.CutPrefix(rest, ",")
	}
	rest, ok = strings.CutPrefix(rest, "}")
	return m, rest, ok
}

func plainKey(s string) (key, rest string, ok bool) {
	if key, rest, ok = plainString(s); !ok {
		return "", rest, false
	}
	rest, ok = strings.CutPrefix(rest, ":")
	return key, rest, ok
}

// plainString reads a string of printable ASCII without escapes.
func plainString(s string) (value, rest string, ok bool) {
	if len(s) == 0 || s[0] != '"' {
		return "", s, false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[1:i], s[i+1:], true
		case c == '\\' || c < 0x20 || c > 0x7e:
			return "", s, false
		}
	}
	return "", s, false
}
