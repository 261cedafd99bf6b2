package command

import (
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
)

// heldListView is what `held list` prints.
type heldListView struct {
	Held []heldView `json:"held"`
}

// heldView is a stream of which a mapping could not publish an event.
type heldView struct {
	Mapping  string      `json:"mapping"`
	Category string      `json:"category"`
	ID       string      `json:"id"`
	Version  es.Version  `json:"version"`
	Position es.Position `json:"position"`
	EventID  uuid.UUID   `json:"event_id"`
	Type     string      `json:"type"`
	Error    string      `json:"error"`
	Attempts int         `json:"attempts"`
	FirstAt  time.Time   `json:"first_at"`
	LastAt   time.Time   `json:"last_at"`
}

func newHeldView(list []outbox.Held) heldListView {
	v := heldListView{Held: []heldView{}}
	for _, h := range list {
		e := h.Event
		v.Held = append(v.Held, heldView{h.Mapping, e.Stream.Category, e.Stream.ID, e.Version, e.Position, e.ID, e.Type, h.Error, h.Attempts, h.First.UTC(), h.Last.UTC()})
	}
	return v
}

// WriteText writes a line for each stream.
func (v heldListView) WriteText(w io.Writer) error {
	if len(v.Held) == 0 {
		_, err := fmt.Fprintln(w, "nothing is held")
		return err
	}
	rows := rowsOf(v.Held, func(h heldView) string {
		return row(h.Mapping, h.Category+"/"+h.ID, h.Version, h.EventID, h.Type, h.Attempts, moment(h.FirstAt), moment(h.LastAt), h.Error)
	})
	return table(w, "MAPPING\tSTREAM\tVERSION\tEVENT\tTYPE\tTRIED\tFIRST\tLAST\tWHY", rows)
}

// skippedHeldView is what `held skip` prints.
type skippedHeldView struct {
	Mapping string    `json:"mapping"`
	EventID uuid.UUID `json:"event_id"`
}

// WriteText writes a sentence.
func (v skippedHeldView) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "event %s is left out by mapping %s; the relay publishes what comes after it\n", v.EventID, oneLine(v.Mapping))
	return err
}
