package command

import "regexp"

// secrets are where a password stands in what somebody may have typed in the wrong
// place, such as an address that was given as an argument: between :// and the last @
// of the word, and after password=.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*:/+)()\S*(@)`),
	regexp.MustCompile(`(?i)((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'?|"[^"]*"?|[^\s&]+)()`),
}

// withoutSecrets is a message that errors of parsing arguments, which quote them, may
// be a part of.
func withoutSecrets(text string) string {
	for _, secret := range secrets {
		text = secret.ReplaceAllString(text, "${1}xxxxx${3}")
	}
	return text
}
