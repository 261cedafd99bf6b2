package kafka

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
)

// Headers of the CloudEvents 1.0 Kafka binding in binary mode, and the extension
// attributes in which Asof writes what CloudEvents has no name for.
const (
	headerSpec        = "ce_specversion"
	headerID          = "ce_id"
	headerSource      = "ce_source"
	headerType        = "ce_type"
	headerCategory    = "ce_category" // of the stream
	headerSubject     = "ce_subject"  // the stream's id
	headerTime        = "ce_time"
	headerVersion     = "ce_version"
	headerPosition    = "ce_position"
	headerSchema      = "ce_schema"
	headerCorrelation = "ce_correlationid"
	headerCausation   = "ce_causationid"
	headerLife        = "ce_life" // of the store: see LifeHeader
	headerPart        = "ce_part" // of what was recorded as one: 2
	headerOf          = "ce_of"   // of 3
	headerDense       = "ce_dense"
	headerDataSchema  = "ce_dataschema"
	headerContentType = "content-type"

	// The trace context stands twice: as the extension attributes that CloudEvents
	// has for it, which is how its clients see it, and as the plain headers that
	// instrumentation of Kafka clients looks for, and may replace on the way.
	headerTraceParent      = "ce_traceparent"
	headerTraceState       = "ce_tracestate"
	headerPlainTraceParent = "traceparent"
	headerPlainTraceState  = "tracestate"

	specVersion = "1.0"
	attribute   = "ce_" // before every attribute's name
)

// FromEvent returns the message that carries a recorded event: the event's bytes,
// with its stream's id as the key and headers after the CloudEvents 1.0 Kafka
// protocol binding in binary mode
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md).
// The source is a URI reference that names the service, such as "/orders"; source
// and event id identify the event, and source, category (ce_category) and stream id
// (ce_subject) its stream, whatever topic it lies in. Parts of an event say which of how many
// they are (ce_part, ce_of), and have its id, # and their number as theirs. The message's timestamp is left to
// the producer, since retention counts from it; when the event was recorded is ce_time.
func FromEvent(source, topic string, e es.RecordedEvent) Message {
	contentType := e.ContentType
	if contentType == "" {
		contentType = es.JSONContentType
	}
	m := Message{Topic: topic, Key: []byte(e.Stream.ID), Value: e.Data, Headers: make([]Header, 0, 17+len(e.Metadata.Extra))}
	var text [64]byte
	h := headers{list: m.Headers, bytes: make([]byte, 0, headerBytes)}
	h.add(headerSpec, specVersion)
	h.add(headerID, idOf(e.Recorded))
	h.add(headerSource, source)
	h.add(headerType, e.Type)
	h.add(headerCategory, e.Stream.Category)
	h.add(headerSubject, e.Stream.ID)
	h.add(headerTime, string(e.RecordedAt.UTC().AppendFormat(text[:0], time.RFC3339Nano)))
	h.add(headerContentType, contentType)
	h.add(headerVersion, string(strconv.AppendInt(text[:0], int64(e.Version), 10)))
	h.add(headerPosition, string(strconv.AppendInt(text[:0], int64(e.Position), 10)))
	h.add(headerSchema, string(strconv.AppendInt(text[:0], int64(e.Schema), 10)))
	if e.Parts > 0 {
		h.add(headerPart, strconv.Itoa(e.Part))
		h.add(headerOf, strconv.Itoa(e.Parts))
	}
	h.addSet(headerCorrelation, e.Metadata.CorrelationID)
	h.addSet(headerCausation, e.Metadata.CausationID)
	h.addSet(headerTraceParent, e.Metadata.TraceParent)
	h.addSet(headerTraceState, e.Metadata.TraceState)
	h.addSet(headerPlainTraceParent, e.Metadata.TraceParent)
	h.addSet(headerPlainTraceState, e.Metadata.TraceState)
	if len(e.Metadata.Extra) > 0 {
		for _, key := range slices.Sorted(maps.Keys(e.Metadata.Extra)) {
			h.add(attribute+key, e.Metadata.Extra[key])
		}
	}
	m.Headers = h.list
	return m
}

// idOf tells an event's messages apart: of a part it is the event's id, # and its number.
func idOf(r es.Recorded) string {
	if r.Parts == 0 {
		return r.ID.String()
	}
	return r.ID.String() + "#" + strconv.Itoa(r.Part)
}

// headerBytes is what the values of an event's headers usually need.
const headerBytes = 384

// headers puts the values behind each other: an allocation each would be a good part
// of what the relay does.
type headers struct {
	list  []Header
	bytes []byte
}

func (h *headers) add(name, value string) {
	start := len(h.bytes)
	h.bytes = append(h.bytes, value...)
	h.list = append(h.list, Header{Key: name, Value: h.bytes[start:len(h.bytes):len(h.bytes)]})
}

func (h *headers) addSet(name, value string) {
	if value != "" {
		h.add(name, value)
	}
}

func (m *Message) add(name, value string) {
	m.Headers = append(m.Headers, Header{Key: name, Value: []byte(value)})
}

// ToEvent returns the event that FromEvent put into a message, from whatever topic: the
// name of that says nothing of it. A message of another system is [ErrNotAnEvent].
func ToEvent(m Message) (es.RecordedEvent, error) {
	var e es.RecordedEvent
	seen := make(map[string]bool, len(m.Headers))
	for _, h := range m.Headers {
		seen[h.Key] = true
		if err := set(&e, h.Key, string(h.Value)); err != nil {
			return es.RecordedEvent{}, fmt.Errorf("%w: %s partition %d offset %d: header %s: %w", ErrNotAnEvent, m.Topic, m.Partition, m.Offset, h.Key, err)
		}
	}
	for _, name := range []string{headerSpec, headerID, headerSource, headerType, headerCategory, headerSubject, headerTime, headerVersion} {
		if !seen[name] {
			return es.RecordedEvent{}, fmt.Errorf("%w: %s partition %d offset %d has no header %s: another system wrote it", ErrNotAnEvent, m.Topic, m.Partition, m.Offset, name)
		}
	}
	if id, _ := m.Header(headerID); e.Parts < 0 || e.Part < 0 || e.Part > e.Parts || (e.Part == 0) != (e.Parts == 0) || id != idOf(e.Recorded) && strings.Contains(id, "#") {
		return es.RecordedEvent{}, fmt.Errorf("%w: %s partition %d offset %d is part %d of %d with id %.60q, which cannot be", ErrNotAnEvent, m.Topic, m.Partition, m.Offset, e.Part, e.Parts, id)
	}
	if e.ContentType == "" {
		e.ContentType = es.JSONContentType
	}
	if !seen[headerTraceParent] && !seen[headerTraceState] {
		e.Metadata.TraceParent, _ = m.Header(headerPlainTraceParent)
		e.Metadata.TraceState, _ = m.Header(headerPlainTraceState)
	}
	e.Data = m.Value
	return e, nil
}

// set takes a header over into the event.
func set(e *es.RecordedEvent, name, value string) (err error) {
	switch name {
	case headerSpec:
		if value != specVersion {
			return fmt.Errorf("CloudEvents %s is not known", value)
		}
	case headerID:
		id, _, _ := strings.Cut(value, "#")
		e.ID, err = uuid.Parse(id)
	case headerPart:
		e.Part, err = strconv.Atoi(value)
	case headerOf:
		e.Parts, err = strconv.Atoi(value)
	case headerType:
		e.Type = value
	case headerCategory:
		e.Stream.Category = value
	case headerSubject:
		e.Stream.ID = value
	case headerTime:
		e.RecordedAt, err = time.Parse(time.RFC3339Nano, value)
		e.RecordedAt = e.RecordedAt.UTC()
	case headerContentType:
		e.ContentType = value
	case headerVersion:
		err = number(value, (*int64)(&e.Version))
	case headerPosition:
		err = number(value, (*int64)(&e.Position))
	case headerSchema:
		e.Schema, err = strconv.Atoi(value)
	case headerSource, headerLife, headerDense, headerDataSchema, "ce_datacontenttype":
	default:
		setMetadata(&e.Metadata, name, value)
	}
	return err
}

func setMetadata(of *es.Metadata, name, value string) {
	switch name {
	case headerCorrelation:
		of.CorrelationID = value
	case headerCausation:
		of.CausationID = value
	case headerTraceParent:
		of.TraceParent = value
	case headerTraceState:
		of.TraceState = value
	default:
		if key, ok := strings.CutPrefix(name, attribute); ok {
			if of.Extra == nil {
				of.Extra = make(map[string]string)
			}
			of.Extra[key] = value
		}
	}
}

func number(text string, to *int64) (err error) {
	*to, err = strconv.ParseInt(text, 10, 64)
	return err
}

// Source returns who published a CloudEvent, such as "/orders"; "" when the message
// is none.
func Source(m Message) string {
	source, _ := m.Header(headerSource)
	return source
}

// SparseHeader tells the consumers of a topic that nothing is published there of some events:
// the versions of a stream have holes.
func SparseHeader() Header { return Header{Key: headerDense, Value: []byte("false")} }

// Sparse reports a message of a topic in which streams have holes.
func Sparse(m Message) bool {
	dense, _ := m.Header(headerDense)
	return dense == "false"
}

// Whole reports a message that carries all of what was recorded as one, and not a part of it.
func Whole(m Message) bool {
	of, _ := m.Header(headerOf)
	return of == "" || of == "1"
}

// ContractHeader names the contract that a payload is written by, as the CloudEvents attribute
// dataschema: urn:asof:contract:KIND:FINGERPRINT.
func ContractHeader(c es.Contract) Header {
	return Header{Key: headerDataSchema, Value: []byte("urn:asof:contract:" + strings.ToLower(c.Kind) + ":" + url.QueryEscape(c.Fingerprint))}
}

// LifeHeader tells the consumers of a store's events which life of the store they are
// of. A store that has lost events, as by a restore, begins another life: its events
// then have versions and positions that the lost ones had before, which a consumer
// would take for repetitions.
func LifeHeader(life uuid.UUID) Header { return Header{Key: headerLife, Value: []byte(life.String())} }

// Life returns the life of the store that a message's event is of; false when the
// message does not say.
func Life(m Message) (uuid.UUID, bool) {
	text, _ := m.Header(headerLife)
	return parseLife(text)
}

func parseLife(text string) (uuid.UUID, bool) {
	life, err := uuid.Parse(text)
	return life, err == nil
}
