package command

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/reactions"
)

// messageView is a message that a reaction has parked.
type messageView struct {
	Reaction  string    `json:"reaction"`
	Message   int64     `json:"message"`    // its number, by which it is named
	MessageID string    `json:"message_id"` // in the inbox
	Topic     string    `json:"topic"`
	Partition int       `json:"partition"`
	Offset    int64     `json:"offset"`
	Time      time.Time `json:"time"`     // of the message
	Key       bytesView `json:"key"`      // null: it has none
	EventID   *string   `json:"event_id"` // null: it is no event, or broken
	Category  string    `json:"category"` // of the stream; empty: it says none
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Error     string    `json:"error"`  // empty: it has not been tried
	Behind    int64     `json:"behind"` // the message that it waits for; 0: none, it comes first
	Attempts  int       `json:"attempts"`
	FirstAt   time.Time `json:"first_at"` // parked
	LastAt    time.Time `json:"last_at"`  // tried, or parked behind another
}

// bytesView is a text, or in JSON an object with base64 for what is none.
type bytesView []byte

// MarshalJSON writes a string where it can.
func (b bytesView) MarshalJSON() ([]byte, error) {
	switch {
	case b == nil:
		return []byte("null"), nil
	case utf8.Valid(b):
		return json.Marshal(string(b))
	default:
		return json.Marshal(map[string]string{"base64": base64.StdEncoding.EncodeToString(b)})
	}
}

func (b bytesView) String() string {
	if readable(b) {
		return string(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func eventIDOf(id uuid.UUID) *string {
	if id == uuid.Nil {
		return nil
	}
	text := id.String()
	return &text
}

func newMessageView(p reactions.Parked) messageView {
	m := p.Message
	return messageView{
		Reaction: p.Reaction, Message: p.Number, MessageID: p.MessageID, Topic: m.Topic, Partition: m.Partition, Offset: m.Offset,
		Time: inYears(m.Time), Key: m.Key, EventID: eventIDOf(p.EventID), Category: p.Stream.Category, ID: p.Stream.ID, Type: p.Type,
		Error: p.Error, Behind: p.Behind, Attempts: p.Attempts, FirstAt: p.First.UTC(), LastAt: p.Last.UTC(),
	}
}

// inYears is a time that JSON can have: what a message says may be any number.
func inYears(t time.Time) time.Time {
	if year := t.UTC().Year(); year < 0 || year > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

// stream is the stream of the message, or what it has for one.
func streamOf(category, id string) string {
	if category == "" {
		return ""
	}
	return category + "/" + id
}

// why says what keeps it parked.
func (v messageView) why() string {
	switch {
	case v.Error != "":
		return v.Error
	case v.Behind > 0:
		return fmt.Sprintf("waits behind message %d", v.Behind)
	default:
		return "what it waited for is gone: retry it"
	}
}

func (v messageView) row() string {
	return row(v.Reaction, v.Message, streamOf(v.Category, v.ID), v.Key, v.Type, fmt.Sprintf("%s/%d", v.Topic, v.Partition), v.Offset,
		v.Attempts, moment(v.FirstAt), moment(v.LastAt), v.why())
}

// skippedMessageView is a message that a reaction leaves out.
type skippedMessageView struct {
	Reaction  string    `json:"reaction"`
	Message   int64     `json:"message"`
	MessageID string    `json:"message_id"`
	Topic     string    `json:"topic"`
	Partition int       `json:"partition"`
	Offset    int64     `json:"offset"`
	EventID   *string   `json:"event_id"`
	Category  string    `json:"category"`
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Reason    string    `json:"reason"`
	At        time.Time `json:"at"`
}

func newSkippedMessageView(k reactions.Skipped) skippedMessageView {
	return skippedMessageView{
		Reaction: k.Reaction, Message: k.Number, MessageID: k.MessageID, Topic: k.Topic, Partition: k.Partition, Offset: k.Offset,
		EventID: eventIDOf(k.EventID), Category: k.Stream.Category, ID: k.Stream.ID, Type: k.Type, Reason: k.Reason, At: k.At.UTC(),
	}
}

// shownMessageView is what `dead-letters show` prints of a message.
type shownMessageView struct {
	messageView
	Headers    []headerOfView  `json:"headers"`
	Data       json.RawMessage `json:"data,omitempty"`        // when it is JSON
	DataBase64 string          `json:"data_base64,omitempty"` // otherwise

	payload []byte
}

type headerOfView struct {
	Name  string    `json:"name"`
	Value bytesView `json:"value"`
}

func newShownMessageView(p reactions.Parked) shownMessageView {
	v := shownMessageView{messageView: newMessageView(p), Headers: []headerOfView{}, payload: p.Message.Value}
	for _, h := range p.Message.Headers {
		v.Headers = append(v.Headers, headerOfView{h.Key, h.Value})
	}
	if json.Valid(v.payload) {
		v.Data = v.payload
	} else {
		v.DataBase64 = base64.StdEncoding.EncodeToString(v.payload)
	}
	return v
}

// WriteText writes the message, why it is parked, its headers and its payload.
func (v shownMessageView) WriteText(w io.Writer) error {
	rows := []string{
		row("reaction", v.Reaction), row("message", v.Message), row("stream", streamOf(v.Category, v.ID)), row("key", v.Key), row("type", v.Type),
		row("place", fmt.Sprintf("%s partition %d offset %d", v.Topic, v.Partition, v.Offset)), row("time", moment(v.Time)),
		row("tried", v.Attempts), row("first", moment(v.FirstAt)), row("last", moment(v.LastAt)), row("why", v.why()),
	}
	if err := table(w, "", rows); err != nil {
		return err
	}
	rows = nil
	for _, h := range v.Headers {
		rows = append(rows, row(h.Name, h.Value))
	}
	if err := block(w, "HEADER\tVALUE", rows); err != nil {
		return err
	}
	e := shownView{Event: eventView{Data: v.Data, DataBase64: v.DataBase64, headerView: headerView{ContentType: es.JSONContentType}}, payload: v.payload}
	content, err := e.content()
	if err == nil {
		_, err = fmt.Fprintf(w, "\npayload\n  %s\n", indented(content))
	}
	return err
}

// retriedMessagesView is what `dead-letters retry` prints of a reaction.
type retriedMessagesView struct {
	Reaction string `json:"reaction"`
	Reacted  int    `json:"reacted"` // messages
	Parked   int    `json:"parked"`  // still
}

// WriteText writes what came of it.
func (v retriedMessagesView) WriteText(w io.Writer) error {
	result := "nothing was parked"
	if v.Reacted+v.Parked > 0 {
		result = messageCounts(v.Reacted, v.Parked)
	}
	_, err := fmt.Fprintf(w, "%s: %s\n", oneLine(v.Reaction), result)
	return err
}

func messageCounts(reacted, parked int) string {
	return fmt.Sprintf("%s reacted to, %s parked again", count(int64(reacted)), count(int64(parked)))
}

// skippedMessageNowView is what `dead-letters skip` prints of a reaction.
type skippedMessageNowView struct {
	Reaction string `json:"reaction"`
	Message  int64  `json:"message"`
	Reason   string `json:"reason"`
	Reacted  int    `json:"reacted"` // of what waited behind it
	Parked   int    `json:"parked"`  // again
}

// WriteText writes what is left out, and what came of those behind it.
func (v skippedMessageNowView) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s leaves out message %d: %s\n", oneLine(v.Reaction), v.Message, oneLine(v.Reason))
	if err == nil && v.Reacted+v.Parked > 0 {
		_, err = fmt.Fprintf(w, "of what waited behind it: %s\n", messageCounts(v.Reacted, v.Parked))
	}
	return err
}
