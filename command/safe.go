package command

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// safe escapes what a terminal would obey or hide, and not show: control characters,
// those that turn the direction of a text around or have no width, and bytes that are
// no UTF-8, among which a terminal may find control characters too. Lines and tabs
// stay. An escape is one of JSON, so that JSON in a text stays what it is.
func safe(text string) string {
	if !strings.ContainsFunc(text, obeyed) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case r == utf8.RuneError || !obeyed(r):
			b.WriteString(text[:size])
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		text = text[size:]
	}
	return b.String()
}

const (
	nonJoiner = '\u200c' // spelling, in Persian and others
	joiner    = '\u200d' // and parts of one picture
)

// obeyed reports what is not shown as it is; U+FFFD may stand for a broken byte.
func obeyed(r rune) bool {
	switch r {
	case '\n', '\t', nonJoiner, joiner:
		return false
	}
	return r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// oneLine is safe for a cell of a table, or for a place within a line.
func oneLine(text string) string {
	return safe(strings.Map(func(r rune) rune {
		switch r {
		case '\n', '\r', '\t', '\v', '\f':
			return ' '
		}
		return r
	}, text))
}

// indented keeps further lines of a text from looking like lines of their own.
func indented(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }
