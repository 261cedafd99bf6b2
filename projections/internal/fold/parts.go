package fold

import (
	"encoding/json"
	"fmt"

	"github.com/asof-dev/asof/es"
)

// partsType is the content type of an event that several messages carry: what was recorded as
// one is published as several, and applied as one.
const partsType = "application/vnd.asof.parts+json"

// part is one of them.
type part struct {
	Type        string `json:"type"`
	Schema      int    `json:"schema"`
	ContentType string `json:"content_type"`
	Data        []byte `json:"data"`
}

// Join makes one event of all parts of what was recorded as one, in order.
func Join(parts []es.RecordedEvent) es.RecordedEvent {
	list := make([]part, len(parts))
	for i := range parts {
		p := &parts[i]
		list[i] = part{p.Type, p.Schema, p.ContentType, p.Data}
	}
	e := parts[0]
	e.Part, e.Parts, e.ContentType = 0, 0, partsType
	data, err := json.Marshal(list)
	if err != nil { // texts, numbers and bytes are never refused
		panic(err)
	}
	e.Data = data
	return e
}

// split returns what Join was given; an event that is none of Join's as it is.
func split(e *es.RecordedEvent) ([]es.RecordedEvent, error) {
	if e.ContentType != partsType {
		return nil, nil
	}
	var list []part
	if err := json.Unmarshal(e.Data, &list); err != nil {
		return nil, fmt.Errorf("%w: the parts of %s version %d: %w", es.ErrUndecodable, e.Stream, e.Version, err)
	}
	events := make([]es.RecordedEvent, len(list))
	for i, p := range list {
		events[i] = *e
		events[i].Type, events[i].Schema, events[i].ContentType, events[i].Data = p.Type, p.Schema, p.ContentType, p.Data
	}
	return events, nil
}
