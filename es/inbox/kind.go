package inbox

import (
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

// Headers of the events that a relay publishes, as package kafka writes them.
const (
	headerID       = "ce_id"
	headerSource   = "ce_source"
	headerType     = "ce_type"
	headerVersion  = "ce_version"
	headerPosition = "ce_position"
	headerSchema   = "ce_schema"
)

// foreignError says what a message of another system is.
type foreignError struct {
	kind  string
	cause error
}

func (e *foreignError) Error() string { return e.kind + ": " + e.cause.Error() }
func (e *foreignError) Unwrap() error { return e.cause }

// Is makes errors.Is(err, ErrForeign) true.
func (e *foreignError) Is(target error) bool { return target == ErrForeign }

// Read returns the event that a message carries; [ErrForeign] when another system
// wrote it, and [ErrBroken] when Asof did, as its headers say, and one of them cannot
// be read. What no store accepts is left out of its metadata.
func Read(m *message.Message) (es.RecordedEvent, error) {
	e, err := kafka.EventOf(m)
	if err == nil {
		err = lifeReadable(m)
	}
	switch {
	case err != nil && asofs(m):
		return es.RecordedEvent{}, fmt.Errorf("%w: %w", ErrBroken, err)
	case err != nil && m.Metadata[headerSource] != "" && m.Metadata[headerID] != "":
		return es.RecordedEvent{}, &foreignError{"CloudEvent of another system", err}
	case err != nil:
		return es.RecordedEvent{}, &foreignError{"no CloudEvent", err}
	}
	if recordable(e) == nil {
		return e, nil
	}
	e.Metadata = acceptable(e.Metadata)
	if err := recordable(e); err != nil {
		return es.RecordedEvent{}, &foreignError{"event that no store records", err}
	}
	return e, nil
}

// OfAsof reports whether a message has the headers that Asof gives to events, whether or
// not they can be read: it is no message of another system.
func OfAsof(m *message.Message) bool { return asofs(m) }

// asofs reports whether a message has the headers that Asof gives to events, besides
// those of every CloudEvent. Another system may use one of these names, but hardly
// two; ce_category is none of them, since many may use that.
func asofs(m *message.Message) bool {
	n := 0
	for _, name := range []string{headerVersion, headerPosition, headerSchema, headerLife()} {
		if _, ok := m.Metadata[name]; ok {
			n++
		}
	}
	return n >= 2
}

// LifeReadable returns [ErrBroken] for a message of Asof's that should say of which life of
// its store it is, and does not: nobody knows then whether it still holds.
func LifeReadable(m *message.Message) error {
	if err := lifeReadable(m); err != nil && asofs(m) {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return nil
}

func headerLife() string { return kafka.LifeHeader(uuid.Nil).Key }

// lifeReadable reports a header that should say of which life of its store a message
// is, and does not.
func lifeReadable(m *message.Message) error {
	text, says := m.Metadata[headerLife()]
	if _, ok := kafka.LifeOf(m); says && !ok {
		return fmt.Errorf("header %s is no UUID: %.40q", headerLife(), text)
	}
	return nil
}
