package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// View is a result: a value that encoding/json writes with snake_case names, and
// that writes itself as text for people. In the text control characters other than
// line ends and tabs are escaped before it reaches the terminal, as they may come from
// events.
type View interface {
	WriteText(w io.Writer) error
}

// Printer writes results to the standard output as --output says.
type Printer struct {
	w    io.Writer
	json bool
}

// JSON reports whether --output json was given.
func (p *Printer) JSON() bool { return p.json }

// Document writes the one result of a command.
func (p *Printer) Document(v View) error { return p.write(v, "  ") }

// Line writes one of many results: with --output json, a document on a line.
func (p *Printer) Line(v View) error { return p.write(v, "") }

func (p *Printer) write(v View, indent string) error {
	if !p.json {
		var text bytes.Buffer
		err := v.WriteText(&text)
		if err == nil {
			_, err = io.WriteString(p.w, safe(text.String()))
		}
		if err != nil {
			return fmt.Errorf("command: write the result: %w", err)
		}
		return nil
	}
	encoder := json.NewEncoder(p.w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("command: write the result: %w", err)
	}
	return nil
}
