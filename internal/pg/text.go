package pg

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// Storable is a text that Postgres takes: without NUL, and in UTF-8.
func Storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// digest begins what stands for a text that is not stored as it is.
const digest = "sha256:"

// Key is what stands for a text in a key: the text itself, or its digest when it is
// empty, too long, or nothing that Postgres takes. Two texts stay two.
func Key(text string, most int) string {
	if text != "" && len(text) <= most && utf8.ValidString(text) && !strings.ContainsRune(text, 0) && !strings.HasPrefix(text, digest) {
		return text
	}
	return DigestOf(text)
}

// DigestOf is what stands for a text that Postgres would not take, or not as it is.
func DigestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return digest + hex.EncodeToString(sum[:])
}
