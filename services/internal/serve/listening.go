package serve

import (
	"fmt"
	"io"
)

// listening is what a service prints when it accepts requests.
type listening struct {
	URL string `json:"url"`
}

// WriteText writes a line for people.
func (l listening) WriteText(w io.Writer) error {
	_, err := fmt.Fprintln(w, "listening on "+l.URL)
	return err
}
