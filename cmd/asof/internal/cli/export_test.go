package cli

// ShellQuote is how the lines to copy are written.
func ShellQuote(text string) string { return shellQuote(text) }
