package protobuf

import (
	"fmt"
	"strings"
)

// What a text may have. protoc takes 32 messages within each other; the full name of each is
// as long as all around it together, so that a text made for it would take all memory.
const (
	deepest = 64
	longest = 256
)

// measure looks at a text before it is compiled: how deep its brackets are within each other,
// and how long its names. It tells the line.
func measure(text string) error {
	const open, shut = "{[<(", "}]>)"
	var depth [len(open)]int // of each kind, so that one that is out of place takes none of another away
	word := 0
	for i := 0; i < len(text); i++ {
		if skipped := comment(text[i:]) + quoted(text[i:]); skipped > 0 {
			i += skipped - 1
			word = 0
			continue
		}
		if kind := strings.IndexByte(shut, text[i]); kind >= 0 {
			depth[kind] = max(depth[kind]-1, 0)
		}
		if word++; !inName(text[i]) {
			word = 0
		}
		kind := strings.IndexByte(open, text[i])
		if kind >= 0 {
			depth[kind]++
		}
		if kind >= 0 && depth[kind] > deepest {
			return fmt.Errorf("line %d: more than %d brackets within each other", line(text, i), deepest)
		}
		if word > longest {
			return fmt.Errorf("line %d: a name of more than %d characters", line(text, i), longest)
		}
	}
	return nil
}

func line(text string, at int) int { return strings.Count(text[:at], "\n") + 1 }

func inName(c byte) bool {
	return c == '_' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// comment is the length of a comment that a text begins with.
func comment(text string) int {
	var end string
	switch {
	case strings.HasPrefix(text, "//"):
		end = "\n"
	case strings.HasPrefix(text, "/*"):
		end = "*/"
	default:
		return 0
	}
	if at := strings.Index(text[2:], end); at >= 0 {
		return 2 + at + len(end)
	}
	return len(text)
}

// quoted is the length of a string that a text begins with.
func quoted(text string) int {
	if text[0] != '"' && text[0] != '\'' {
		return 0
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case text[0], '\n': // a string is of one line
			return i + 1
		case '\\':
			i++
		}
	}
	return len(text)
}
