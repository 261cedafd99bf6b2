package kafka

import "github.com/asof-dev/asof/es"

// FromEvent returns the message of a recorded event.
func FromEvent(source, topic string, e es.RecordedEvent) Message { return Message{} }

// ToEvent returns the event of a message.
func ToEvent(m Message) (es.RecordedEvent, error) { return es.RecordedEvent{}, nil }

// Source returns the ce_source of a message.
func Source(m Message) string { return "" }
