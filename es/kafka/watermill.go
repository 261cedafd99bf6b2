package kafka

import (
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
)

// Metadata keys of a message of a [Subscriber], besides one for each of its headers.
// [Publisher] does not publish them, except that MetadataKey gives the key.
const (
	MetadataTopic     = "kafka_topic"    // without the prefix
	MetadataPrefix    = "kafka_prefix"   // of the topic; not there when there is none
	MetadataTopicID   = "kafka_topic_id" // not there where the brokers do not say: see Partition.TopicID
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
	case MetadataTopic, MetadataPrefix, MetadataTopicID, MetadataPartition, MetadataOffset, MetadataKey, MetadataTime, headerUUID:
		return true
	}
	return false
}

// ToWatermill returns what a [Subscriber] delivers of a message: of a topic that has the
// id, or none where it is not known, and whose name begins with the prefix. Of headers of
// one name it has the last.
func ToWatermill(m *Message, prefix string, topicID uuid.UUID) *message.Message {
	metadata := make(message.Metadata, len(m.Headers)+7)
	for _, h := range m.Headers {
		metadata[h.Key] = string(h.Value)
	}
	id, ok := metadata[headerUUID]
	delete(metadata, headerUUID)
	if !ok {
		id = metadata[headerID] // of a CloudEvent
	}
	metadata[MetadataTopic] = strings.TrimPrefix(m.Topic, prefix)
	if prefix != "" {
		metadata[MetadataPrefix] = prefix
	}
	if topicID != uuid.Nil {
		metadata[MetadataTopicID] = topicID.String()
	}
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

// LifeOf is [Life] for a message of a [Subscriber].
func LifeOf(w *message.Message) (uuid.UUID, bool) { return parseLife(w.Metadata[headerLife]) }
