package kafka

import (
	"slices"
	"time"
)

// Message is what a topic keeps.
type Message struct {
	Topic string
	// Partition and Offset are set on messages that were fetched. Publish ignores
	// them: the key decides the partition.
	Partition int
	Offset    int64
	// Key keeps messages of one key in one partition and so in order. A nil key
	// leaves the choice to the producer.
	Key     []byte
	Value   []byte
	Headers []Header
	// Time is the message's timestamp in milliseconds; zero means now.
	Time time.Time
}

// Header is an attribute of a message. A name may occur several times.
type Header struct {
	Key   string
	Value []byte
}

// Header returns the value of the last header of that name.
func (m *Message) Header(name string) (string, bool) {
	for _, h := range slices.Backward(m.Headers) {
		if h.Key == name {
			return string(h.Value), true
		}
	}
	return "", false
}
