package command

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
)

// headerView is what an event has beside payload and metadata.
type headerView struct {
	Position    es.Position `json:"position"`
	Category    string      `json:"category"`
	ID          string      `json:"id"`
	Version     es.Version  `json:"version"`
	EventID     uuid.UUID   `json:"event_id"`
	Type        string      `json:"type"`
	Schema      int         `json:"schema"`
	RecordedAt  time.Time   `json:"recorded_at"`
	ContentType string      `json:"content_type"`
}

// eventView is an event as `log` prints it.
type eventView struct {
	headerView
	Data       json.RawMessage `json:"data,omitempty"`        // when it is JSON, as the content type says
	DataBase64 string          `json:"data_base64,omitempty"` // otherwise
	Metadata   es.Metadata     `json:"metadata"`
}

func newHeaderView(e es.RecordedEvent) headerView {
	v := headerView{
		Position: e.Position, Category: e.Stream.Category, ID: e.Stream.ID, Version: e.Version, EventID: e.ID,
		Type: e.Type, Schema: e.Schema, RecordedAt: e.RecordedAt.UTC(), ContentType: e.ContentType,
	}
	if v.ContentType == "" {
		v.ContentType = es.JSONContentType
	}
	return v
}

func newEventView(e es.RecordedEvent) eventView {
	v := eventView{headerView: newHeaderView(e), Metadata: e.Metadata}
	if v.ContentType == es.JSONContentType && json.Valid(e.Data) {
		v.Data = e.Data
	} else {
		v.DataBase64 = base64.StdEncoding.EncodeToString(e.Data)
	}
	return v
}

// eventsView is a page of events for people.
type eventsView struct {
	events []eventView
	header bool
}

// WriteText writes a line for every event.
func (v eventsView) WriteText(w io.Writer) error {
	header := ""
	if v.header {
		header = "POSITION\tRECORDED AT\tSTREAM\tVERSION\tTYPE\tDATA"
	}
	var rows []string
	for _, e := range v.events {
		data := string(e.Data)
		if e.DataBase64 != "" {
			data = e.ContentType + " " + e.DataBase64
		}
		rows = append(rows, row(e.Position, moment(e.RecordedAt), e.Category+"/"+e.ID, e.Version, e.Type, data))
	}
	return table(w, header, rows)
}

// WriteText writes the event on a line of its own.
func (v eventView) WriteText(w io.Writer) error {
	return eventsView{events: []eventView{v}}.WriteText(w)
}

// printEvents prints a page: for people as a table, else a document a line.
func (s *Session) printEvents(page []es.RecordedEvent, first bool) error {
	views := make([]eventView, len(page))
	for i, e := range page {
		views[i] = newEventView(e)
	}
	if !s.Out.JSON() {
		return s.Out.Line(eventsView{events: views, header: first})
	}
	for _, view := range views {
		if err := s.Out.Line(view); err != nil {
			return err
		}
	}
	return nil
}
