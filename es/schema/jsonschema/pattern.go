package jsonschema

import (
	"regexp"
	"strings"
)

// verdict is yes, no, or that it is not known.
type verdict int8

const (
	unknown verdict = iota
	no
	yes
)

// patterns are those that were compiled; nil is one that could not be.
type patterns map[string]*regexp.Regexp

// match tells whether a pattern is in a text. Patterns are ECMAScript's: what of them Go's
// regexp may take otherwise is not known.
func (p patterns) match(pattern, text string) verdict {
	re, known := p[pattern]
	if !known {
		if plain(pattern) && common(pattern) {
			re, _ = regexp.Compile(pattern) // nil when it is none of Go's
		}
		p[pattern] = re
	}
	switch {
	case re == nil || !plain(text):
		return unknown
	case re.MatchString(text):
		return yes
	}
	return no
}

// plain tells of a text that it is printable ASCII, in which the classes of both languages agree.
func plain(text string) bool {
	return len(text) <= 1_000 && strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// common tells of a pattern that it has what both languages take alike.
func common(pattern string) bool {
	for _, other := range []string{"[:", "[]", "[^]"} {
		if strings.Contains(pattern, other) {
			return false
		}
	}
	if strings.Contains(strings.ReplaceAll(pattern, "(?:", "("), "(?") {
		return false
	}
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '\\' {
			continue
		}
		i++
		if i == len(pattern) || !strings.ContainsRune(`dDwWsSbBntrf.-/\^$*+?()[]{}|`, rune(pattern[i])) {
			return false
		}
	}
	return true
}
