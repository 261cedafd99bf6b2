package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/projections"
)

// shownView is what `dead-letters show` prints.
type shownView struct {
	Projection string     `json:"projection"`
	Event      eventView  `json:"event"`
	Parked     []unitView `json:"parked"` // by build and row

	payload []byte
}

func newShownView(list []projections.ParkedEvent, heads map[sequence]head) shownView {
	first := list[0]
	v := shownView{Projection: first.Projection, Event: newEventView(first.Event), payload: first.Event.Data}
	for _, p := range list {
		v.Parked = append(v.Parked, newUnitView(p, heads))
	}
	return v
}

// WriteText writes the event, where it is parked and why, its metadata and its payload.
func (v shownView) WriteText(w io.Writer) error {
	e := v.Event
	rows := []string{
		row("event", e.EventID), row("type", e.Type), row("schema", e.Schema), row("stream", e.Category+"/"+e.ID), row("version", e.Version),
		row("position", count(int64(e.Position))), row("recorded at", moment(e.RecordedAt)),
	}
	if !e.Metadata.IsZero() {
		metadata, err := json.Marshal(e.Metadata)
		if err != nil {
			return err
		}
		rows = append(rows, row("metadata", string(metadata)))
	}
	if err := table(w, "", rows); err != nil {
		return err
	}
	rows = nil
	for _, u := range v.Parked {
		rows = append(rows, row(v.Projection, u.Build, u.State, u.Key, u.Attempts, moment(u.FirstAt), moment(u.LastAt), u.why()))
	}
	if err := block(w, "PROJECTION\tBUILD\tSTATE\tKEY\tTRIED\tFIRST\tLAST\tWHY", rows); err != nil {
		return err
	}
	content, err := v.content()
	if err == nil {
		_, err = fmt.Fprintf(w, "\npayload, %s\n  %s\n", oneLine(e.ContentType), indented(content))
	}
	return err
}

// content is the payload for people.
func (v shownView) content() (string, error) {
	switch {
	case v.Event.Data != nil:
		var text bytes.Buffer
		err := json.Indent(&text, v.Event.Data, "", "  ")
		return text.String(), err
	case readable(v.payload):
		return string(v.payload), nil
	default:
		return v.Event.DataBase64, nil
	}
}

// readable reports a text, and not bytes that happen to be UTF-8.
func readable(data []byte) bool {
	return utf8.Valid(data) && !bytes.ContainsFunc(data, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) })
}

// retriedView is what `dead-letters retry` prints.
type retriedView struct {
	Projection string `json:"projection"`
	Applied    int    `json:"applied"` // events, or rows of them
	Parked     int    `json:"parked"`  // again
}

// WriteText writes what came of it.
func (v retriedView) WriteText(w io.Writer) error {
	result := "nothing was parked"
	if v.Applied+v.Parked > 0 {
		result = counts(v.Applied, v.Parked)
	}
	_, err := fmt.Fprintf(w, "%s: %s\n", oneLine(v.Projection), result)
	return err
}

func counts(applied, parked int) string {
	return fmt.Sprintf("%s applied, %s parked again", count(int64(applied)), count(int64(parked)))
}

// skippedNowView is what `dead-letters skip` prints.
type skippedNowView struct {
	Projection string    `json:"projection"`
	EventID    uuid.UUID `json:"event_id"`
	Reason     string    `json:"reason"`
	Applied    int       `json:"applied"` // of what waited behind it
	Parked     int       `json:"parked"`  // again
}

// WriteText writes what is left out, and what came of those behind it.
func (v skippedNowView) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s leaves out event %s: %s\n", oneLine(v.Projection), v.EventID, oneLine(v.Reason))
	if err == nil && v.Applied+v.Parked > 0 {
		_, err = fmt.Fprintf(w, "of what waited behind it: %s\n", counts(v.Applied, v.Parked))
	}
	return err
}
