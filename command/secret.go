package command

import "regexp"

// Where a password stands in what somebody may have typed in the wrong place, such as
// an address that was given as an argument: between :// and the last @ of the word, and
// after password=.
var (
	inAddress  = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*:/+)()\S*(@)`)
	inSettings = regexp.MustCompile(`(?i)((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'?|"[^"]*"?|[^\s&]+)()`)
)

// withoutSecrets is a message that errors of parsing arguments, which quote them, may
// be a part of.
func withoutSecrets(text string) string {
	for _, secret := range []*regexp.Regexp{inAddress, inSettings} {
		text = secret.ReplaceAllString(text, "${1}xxxxx${3}")
	}
	return text
}
