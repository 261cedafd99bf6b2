package command

import (
	"fmt"
	"io"
	"strings"

	"github.com/asof-dev/asof/es/schema/registry"
)

// contractsView is what `contracts check` and `contracts write` print.
type contractsView struct{ registry.Report }

// registeredView is a line of `contracts register`.
type registeredView struct {
	Type    string `json:"type"`
	Schema  int    `json:"schema"`
	Subject string `json:"subject"`
	ID      int    `json:"id"`
}

// WriteText writes the line for people.
func (v registeredView) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s version %d has the id %d, as %s\n", v.Type, v.Schema, v.ID, oneLine(v.Subject))
	return err
}

// addresses are several URLs, separated by commas.
func addresses(text string) []string {
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}
