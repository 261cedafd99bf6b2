package command

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/asof-dev/asof/es"
)

// stateView is what `state` prints.
type stateView struct {
	Category   string      `json:"category"`
	ID         string      `json:"id"`
	Version    es.Version  `json:"version"`     // of the last event that counts
	Position   es.Position `json:"position"`    // of that event
	RecordedAt time.Time   `json:"recorded_at"` // of that event
	State      any         `json:"state"`
}

// WriteText writes where the state is from, and the state as JSON.
func (v stateView) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s/%s  version %d  position %d  %s\n", v.Category, v.ID, v.Version, v.Position, moment(v.RecordedAt))
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v.State)
}
