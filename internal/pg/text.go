package pg

import "strings"

// Storable is a text that Postgres takes: without NUL, and in UTF-8.
func Storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
