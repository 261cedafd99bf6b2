package command

import (
	"fmt"
	"io"
)

// pauseView is what `pause` and `resume` print.
type pauseView struct {
	Projection string `json:"projection"`
	Paused     bool   `json:"paused"`
	Changed    bool   `json:"changed"` // it was resumed; false: it was not paused
}

// WriteText writes a sentence.
func (v pauseView) WriteText(w io.Writer) error {
	text := "%s is paused: resume it with `resume`\n"
	switch {
	case !v.Paused && v.Changed:
		text = "%s goes on\n"
	case !v.Paused:
		text = "%s was not paused\n"
	}
	_, err := fmt.Fprintf(w, text, oneLine(v.Projection))
	return err
}
