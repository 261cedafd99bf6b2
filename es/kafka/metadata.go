package kafka

import (
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
)

// Metadata keys of a message of a [Subscriber], besides one for each of its headers.
// [Publisher] does not publish them, except that MetadataKey gives the key.
const (
	MetadataTopic     = "kafka_topic" // without the prefix
	MetadataPartition = "kafka_partition"
	MetadataOffset    = "kafka_offset"
	MetadataKey       = "kafka_key"
	MetadataTime      = "kafka_time" // of the message, RFC 3339
)

// headerUUID is where Watermill's own Kafka adapter keeps a message's UUID.
const headerUUID = "_watermill_message_uuid"

// ownMetadata reports what says where a message lay and is not part of it.
func ownMetadata(key string) bool {
	switch key {
	case MetadataTopic, MetadataPartition, MetadataOffset, MetadataKey, MetadataTime, headerUUID:
		return true
	}
	return false
}

// toWatermill returns a message for handlers. Of headers of one name it has the last.
func toWatermill(m *Message, topic string) *message.Message {
	metadata := make(message.Metadata, len(m.Headers)+5)
	for _, h := range m.Headers {
		metadata[h.Key] = string(h.Value)
	}
	id, ok := metadata[headerUUID]
	delete(metadata, headerUUID)
	if !ok {
		id = metadata[headerID] // of a CloudEvent
	}
	metadata[MetadataTopic] = topic
	metadata[MetadataPartition] = strconv.Itoa(m.Partition)
	metadata[MetadataOffset] = strconv.FormatInt(m.Offset, 10)
	metadata[MetadataTime] = m.Time.UTC().Format(time.RFC3339Nano)
	if m.Key != nil {
		metadata[MetadataKey] = string(m.Key)
	}
	w := message.NewMessage(id, m.Value)
	w.Metadata = metadata
	return w
}

// fromWatermill returns a message to publish.
func fromWatermill(w *message.Message, topic, key string) Message {
	m := Message{Topic: topic, Value: w.Payload, Headers: make([]Header, 0, len(w.Metadata)+1)}
	if key != "" {
		m.Key = []byte(key)
	}
	if w.UUID != "" {
		m.add(headerUUID, w.UUID)
	}
	for name, value := range w.Metadata {
		if !ownMetadata(name) {
			m.add(name, value)
		}
	}
	return m
}

// EventOf returns the event that a message of a [Subscriber] carries; [ErrNotAnEvent]
// when another system published it.
func EventOf(w *message.Message) (es.RecordedEvent, error) {
	m := Message{Topic: w.Metadata[MetadataTopic], Value: w.Payload, Headers: make([]Header, 0, len(w.Metadata))}
	m.Partition, _ = strconv.Atoi(w.Metadata[MetadataPartition])
	m.Offset, _ = strconv.ParseInt(w.Metadata[MetadataOffset], 10, 64)
	for name, value := range w.Metadata {
		if !ownMetadata(name) {
			m.add(name, value)
		}
	}
	return ToEvent(m)
}

// MessageID returns what tells a message from all others, to deduplicate it: source
// and id of a CloudEvent, else Watermill's UUID, else the place in its topic.
func MessageID(w *message.Message) string {
	source, id := w.Metadata[headerSource], w.Metadata[headerID]
	switch {
	case source != "" && id != "":
		return source + "/" + id
	case w.UUID != "":
		return w.UUID
	}
	return w.Metadata[MetadataTopic] + "/" + w.Metadata[MetadataPartition] + "/" + w.Metadata[MetadataOffset]
}

// LifeOf is [Life] for a message of a [Subscriber].
func LifeOf(w *message.Message) (uuid.UUID, bool) { return parseLife(w.Metadata[headerLife]) }
