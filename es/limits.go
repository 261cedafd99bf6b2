package es

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Limits, checked at append so that whatever is in the log can be published: an
// event with all its headers stays below 1,048,588 bytes, the message.max.bytes of
// a Kafka broker that was not configured otherwise.
const (
	MaxCategory    = 128       // bytes of a category
	MaxID          = 256       // bytes of a stream id
	MaxType        = 128       // bytes of an event type
	MaxContentType = 128       // bytes of a content type
	MaxData        = 900 << 10 // bytes of one event's payload
	MaxMetadata    = 32 << 10  // bytes of one event's metadata as JSON
	MaxBatch       = 1000      // events of one append
	MaxBatchBytes  = 16 << 20  // bytes of payload and metadata of one append
)

// structured is how content types begin by which the CloudEvents binding for Kafka
// tells its structured mode from the binary one that events are published in.
const structured = "application/cloudevents"

// ValidateAppend checks what every store must refuse before it writes: names,
// sizes, ids given twice. Its errors match [ErrInvalid] and say what is allowed.
func ValidateAppend(s StreamID, want Expected, events []EventData) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if err := want.Validate(); err != nil {
		return err
	}
	if len(events) == 0 || len(events) > MaxBatch {
		return fmt.Errorf("%w: append of %d events: give 1 to %d", ErrInvalid, len(events), MaxBatch)
	}
	total := 0
	for i := range events {
		size, err := events[i].validate()
		if err != nil {
			return fmt.Errorf("event %d of %d for %s: %w", i+1, len(events), s, err)
		}
		if total += size; total > MaxBatchBytes {
			return fmt.Errorf("%w: append has more than %d bytes: split it", ErrInvalid, MaxBatchBytes)
		}
	}
	return distinctIDs(events)
}

// validate returns the bytes of payload and metadata.
func (e *EventData) validate() (int, error) {
	if e.ID == uuid.Nil {
		return 0, fmt.Errorf("%w: event id is missing: use es.NewID", ErrInvalid)
	}
	if err := validType(e.Type); err != nil {
		return 0, err
	}
	if e.Schema < 0 || e.Schema > 1<<31-1 {
		return 0, fmt.Errorf("%w: schema %d: count from 1", ErrInvalid, e.Schema)
	}
	if len(e.ContentType) > MaxContentType || !printableASCII(e.ContentType) {
		return 0, fmt.Errorf("%w: content type %.40q: give at most %d printable ASCII characters", ErrInvalid, e.ContentType, MaxContentType)
	}
	if strings.HasPrefix(strings.ToLower(e.ContentType), structured) {
		return 0, fmt.Errorf("%w: content type %q: a CloudEvents client would take the payload for a whole event: name another", ErrInvalid, e.ContentType)
	}
	if len(e.Data) > MaxData {
		return 0, fmt.Errorf("%w: payload of %s has %d bytes: at most %d are allowed; store large content elsewhere and record where", ErrInvalid, e.Type, len(e.Data), MaxData)
	}
	if (e.ContentType == "" || e.ContentType == JSONContentType) && !validJSON(e.Data) {
		return 0, fmt.Errorf("%w: payload of %s is not valid JSON in UTF-8: correct it or name another content type", ErrInvalid, e.Type)
	}
	if err := e.Contract.validate(); err != nil {
		return 0, err
	}
	n, err := e.Metadata.validate()
	return len(e.Data) + n, err
}

// ValidateType checks the name of an event type. Its errors match [ErrInvalid] and say what is
// allowed.
func ValidateType(name string) error { return validType(name) }

func validType(name string) error { return validName("event type", name, MaxType, "._:/-") }

func validJSON(data []byte) bool { return utf8.Valid(data) && json.Valid(data) }

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

func distinctIDs(events []EventData) error {
	if len(events) == 1 {
		return nil
	}
	seen := make(map[uuid.UUID]struct{}, len(events))
	for i := range events {
		if _, twice := seen[events[i].ID]; twice {
			return fmt.Errorf("%w: event id %s stands twice in one append: give each event its own", ErrInvalid, events[i].ID)
		}
		seen[events[i].ID] = struct{}{}
	}
	return nil
}
