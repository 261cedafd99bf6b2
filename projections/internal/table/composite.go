package table

import (
	"fmt"
	"strings"
)

// The key of a row is one text, by which the books and people name it. Of a primary key of
// several columns it is their texts with commas between; a comma or a backslash in one of
// them has a backslash before it. So each key has one text, and each text is one key.

// JoinKey writes the key of a row whose primary key has several columns.
func JoinKey(parts ...string) string {
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte(',')
		}
		if strings.ContainsAny(part, `,\`) {
			part = strings.NewReplacer(`,`, `\,`, `\`, `\\`).Replace(part)
		}
		b.WriteString(part)
	}
	return b.String()
}

// splitKey appends the parts of a key; false where the text is no key that JoinKey writes.
func splitKey(key string, parts []string) ([]string, bool) {
	for strings.IndexByte(key, '\\') >= 0 {
		part, rest, more, ok := cutEscaped(key)
		if !ok {
			return parts, false
		}
		parts = append(parts, part)
		if !more {
			return parts, true
		}
		key = rest
	}
	for {
		part, rest, more := strings.Cut(key, ",")
		parts = append(parts, part)
		if !more {
			return parts, true
		}
		key = rest
	}
}

// cutEscaped returns the first part of a key, and what comes after it.
func cutEscaped(key string) (part, rest string, more, ok bool) {
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		switch c := key[i]; {
		case c == ',':
			return b.String(), key[i+1:], true, true
		case c != '\\':
			b.WriteByte(c)
		case i+1 < len(key) && (key[i+1] == ',' || key[i+1] == '\\'):
			i++
			b.WriteByte(key[i])
		default:
			return "", "", false, false
		}
	}
	return b.String(), "", false, true
}

// split appends the texts of the key's columns.
func (s *Shape) split(key string, parts []string) []string {
	if len(s.keys) == 1 {
		return append(parts, key)
	}
	parts, _ = splitKey(key, parts) // CheckKey has seen it
	return parts
}

func (s *Shape) join(parts []string) string {
	if len(s.keys) == 1 {
		return parts[0]
	}
	return JoinKey(parts...)
}

// CheckKey refuses a text that does not name each column of the primary key.
func (s *Shape) CheckKey(key string) error {
	if len(s.keys) == 1 {
		return nil
	}
	parts, ok := splitKey(key, make([]string, 0, len(s.keys)))
	if !ok || len(parts) != len(s.keys) {
		return fmt.Errorf("the key %q does not name the %d columns of the primary key (%s) of table %s: write it with projections.CompositeKey", key, len(s.keys), strings.Join(s.keyNames(), ", "), s.Name)
	}
	return nil
}

func (s *Shape) keyNames() []string {
	names := make([]string, len(s.keys))
	for i := range s.keys {
		names[i] = s.keys[i].name
	}
	return names
}

// splitAll returns an array for each column of the key.
func (s *Shape) splitAll(keys []string) []any {
	if len(s.keys) == 1 {
		return []any{keys}
	}
	columns := make([][]string, len(s.keys))
	var parts []string
	for _, key := range keys {
		parts = s.split(key, parts[:0])
		for i, part := range parts {
			columns[i] = append(columns[i], part)
		}
	}
	args := make([]any, len(columns))
	for i := range columns {
		args[i] = columns[i]
	}
	return args
}
