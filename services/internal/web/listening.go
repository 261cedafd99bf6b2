package web

import (
	"fmt"
	"io"
)

// Listening is what a service prints when it accepts requests.
type Listening struct {
	URL string `json:"url"`
}

// WriteText writes a line for people.
func (l Listening) WriteText(w io.Writer) error {
	_, err := fmt.Fprintln(w, "listening on "+l.URL)
	return err
}
