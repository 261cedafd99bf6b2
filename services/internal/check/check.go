// Package check holds what the shipped services refuse alike in what clients send.
package check

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// MaxText is how many bytes a text may have.
const MaxText = 200

var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Name refuses what is no name of a customer or a product; what says whose it is.
func Name(what, text string) error {
	if !name.MatchString(text) {
		return fmt.Errorf("%s %.70q: use 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit", what, text)
	}
	return nil
}

// Text refuses a reference, a reason or the like that is empty, too long or unfit to
// be shown.
func Text(what, text string) error {
	if text == "" || len(text) > MaxText || strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("%s %.40q: give 1 to %d bytes without control characters", what, text, MaxText)
	}
	return nil
}
